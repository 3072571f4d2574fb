"""The clients that a coordinator can invite: an engine, how it was set up, and whose turn it is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from flnb.core import cards
from flnb.core.ids import ClientId
from flnb.core.ports import Participants

if TYPE_CHECKING:
    from flnb.tasks import Task

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Simulation:
    """How a simulated population was asked for; a resumed run asks for the same."""

    clients: int | None = None
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
    """Simulated clients of one task.

    Rounds of several runs may use it, one at a time: `turn` is held from a round's assignment to
    its close.
    """

    def __init__(self, task: Task, simulation: Simulation) -> None:
        from flnb.engines import engine_for  # brings torch, which a lab that is only read lacks

        self.task = task
        self.simulation = simulation
        self.engine: Participants = engine_for(
            task,
            clients=simulation.clients,
            slow=simulation.slow,
            drop=simulation.drop,
            workers=simulation.workers,
        )
        self.turn = asyncio.Lock()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="flnb-population")

    @property
    def clients(self) -> Mapping[ClientId, int]:
        """Every client with its number of examples."""
        return self.engine.clients

    async def run(self, work: Callable[..., T], *arguments: Any) -> T:
        """Do blocking work of this population in its own thread."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)

    def close(self) -> None:
        """End the workers; waits for the call that is under way."""
        self.engine.cancel()
        self._thread.shutdown(wait=True)
        self.engine.close()

    def __repr__(self) -> str:
        """One line, from memory."""
        return f"Population({len(self.clients)} simulated clients of {self.task.name})"

    def _repr_mimebundle_(self, **_: object) -> Mapping[str, str]:
        sizes = sorted(self.clients.values()) or [0]
        simulation = self.simulation
        facts = {
            "clients": f"{len(self.clients)} simulated",
            "examples": f"{sizes[0]} to {sizes[-1]} each, {sum(sizes):,} in all",
            "slow": str(simulation.slow or "no"),
            "drop": f"{simulation.drop:.0%}",
            "workers": "one a core" if simulation.workers is None else str(simulation.workers),
        }
        return cards.bundle(repr(self), cards.card(f"Clients of {self.task.name}", facts))
