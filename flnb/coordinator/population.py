"""The clients that a coordinator can invite: an engine, how it was set up, and whose turn it is."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from flnb.coordinator.quarantine import Resting
from flnb.coordinator.standing import Card
from flnb.core.ids import ClientId, RunId
from flnb.core.ports import Participants

if TYPE_CHECKING:
    from flnb.coordinator.remote.participants import RemoteClients
    from flnb.core.plan import Plan
    from flnb.store import Closing
    from flnb.tasks import Task

T = TypeVar("T")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Simulation:
    """How a simulated population was asked for; a resumed run asks for the same."""

    clients: int | None = None
    """The first so many of the split; None is all of them, 0 leaves the run to remote ones."""
    slow: float | str | None = None
    drop: float = 0.0
    workers: int | None = None

    def suits(self, wanted: Simulation, *, any_workers: bool) -> bool:
        """Whether these clients behave as wanted; who does the work changes no result."""
        same = replace(self, workers=wanted.workers) if any_workers else self
        return same == wanted

    def to_json(self) -> dict[str, Any]:
        """Plain values, for the run's row."""
        return {
            "clients": self.clients,
            "slow": self.slow,
            "drop": self.drop,
            "workers": self.workers,
        }


class Population:
    """Simulated clients of one task, and the remote ones that learn the same.

    Rounds of several runs may use it, one at a time: a turn goes from a round's assignment to its
    close. Populations that share remote clients take turns with one another.
    """

    def __init__(self, task: Task, simulation: Simulation, resting: Resting | None = None) -> None:
        from flnb.engines import engine_for  # brings torch, which a lab that is only read lacks

        self.task = task
        self.simulation = simulation
        self._resting = resting or Resting()
        self.engine: Participants = engine_for(
            task,
            clients=simulation.clients or None,
            slow=simulation.slow,
            drop=simulation.drop,
            workers=simulation.workers,
        )
        self._simulated = self.engine.clients if simulation.clients != 0 else {}
        self._turn = asyncio.Lock()
        self.changed = asyncio.Event()
        """Set whenever a remote client comes or goes."""
        self.remote: RemoteClients | None = None
        self._closed = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="flnb-population")

    async def welcome(self, remote: RemoteClients) -> None:
        """Let remote clients take part from the next round on; on the loop."""
        from flnb.coordinator.remote.together import Together  # brings grpc

        turn = await self.take_turn()
        try:
            if self.remote is None and not self._closed:
                self.remote, self._turn = remote, remote.turn
                remote.presence.on_change.add(self.changed.set)
                remote.presence.simulates.add(self.simulates)
                if both := sorted(filter(self.simulates, remote.clients)):
                    said = "%d remote clients of %s are not invited, simulated ones have their names: %s"
                    log.warning(said, len(both), self.task.name, ", ".join(both[:5]))
                self.engine = Together(
                    self.engine, remote, with_simulated=self.simulation.clients != 0
                )
        finally:
            turn.release()

    @property
    def n_simulated(self) -> int:
        """How many simulated clients it has."""
        return len(self._simulated)

    def simulates(self, client: ClientId) -> bool:
        """Whether a simulated client has this name."""
        return client in self._simulated

    async def take_turn(self) -> asyncio.Lock:
        """Wait for the turn of a round; whoever has it releases what is returned."""
        while True:
            turn = self._turn
            await turn.acquire()
            if turn is self._turn:
                return turn
            turn.release()  # remote clients came to be shared meanwhile

    def settle(self, closing: Closing) -> None:
        """A round is durable: remote clients need not work for it, nor keep what is in a commit."""
        if self.remote is not None:
            self.remote.closed(closing.run, closing.round)
            if closing.snapshot is not None:
                self.remote.committed(closing.run, closing.round)

    def ended(self, run: RunId) -> None:
        """A run is over: remote clients need not work for it, nor keep anything."""
        if self.remote is not None:
            self.remote.ended(run)

    def taken_back(self, run: RunId, generation: int) -> None:
        """The head of a run was moved: remote clients need not work for what was left behind."""
        if self.remote is not None:
            self.remote.taken_back(run, generation)

    @property
    def clients(self) -> Mapping[ClientId, int]:
        """Every client that can be invited, with its number of examples."""
        if self.remote is None and self.simulation.clients == 0:
            return {}
        return self.engine.clients

    def eligible(self, plan: Plan) -> tuple[ClientId, ...]:
        """Every client that can be invited now by a plan."""
        return tuple(
            client
            for client in self.clients
            if client not in plan.exclude and client not in self._resting
        )

    def needed(self, plan: Plan) -> int:
        """How many clients must be here for a round.

        Remote ones may still be on their way, and those in quarantine may be released.
        """
        here = len(self.eligible(plan))
        for_ever = self.remote is None and not self._resting.names
        return here if for_ever else plan.invite or plan.need or max(1, here)

    async def run(self, work: Callable[..., T], *arguments: Any) -> T:
        """Do blocking work of this population in its own thread."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)

    def close(self) -> None:
        """End the workers; waits for the call that is under way."""
        self._closed = True
        if self.remote is not None:
            self.remote.presence.on_change.discard(self.changed.set)
            self.remote.presence.simulates.discard(self.simulates)
        self.engine.cancel()
        self._thread.shutdown(wait=True)
        self.engine.close()

    @property
    def card(self) -> dict[str, Any]:
        """What a person sees of it: a line, a title and facts; also at the end of a wire."""
        kind = "clients" if self.remote else "simulated clients"
        sizes = sorted(self.clients.values()) or [0]
        simulation = self.simulation
        facts = {
            "clients": f"{len(self.clients)} simulated",
            "examples": f"{sizes[0]} to {sizes[-1]} each, {sum(sizes):,} in all",
            "slow": str(simulation.slow or "no"),
            "drop": f"{simulation.drop:.0%}",
            "workers": "one a core" if simulation.workers is None else str(simulation.workers),
        }
        return {
            "line": f"Population({len(self.clients)} {kind} of {self.task.name})",
            "title": f"Clients of {self.task.name}",
            "facts": facts,
        }

    def __repr__(self) -> str:
        """One line, from memory."""
        return repr(Card(**self.card))

    def _repr_mimebundle_(self, **_: object) -> Mapping[str, str]:
        return Card(**self.card)._repr_mimebundle_()
