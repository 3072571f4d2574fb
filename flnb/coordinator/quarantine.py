"""Letting clients rest: one in quarantine stays connected, and is not drawn until it is released.

What it does for a round that is open already still counts. Guards and rules are not asked: quarantine is
a person's word, which stands in the lab until it is taken back, also after a restart.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from flnb.coordinator.acting import actor
from flnb.core.errors import NotFoundError, PlanError
from flnb.core.ids import ClientId

if TYPE_CHECKING:
    from flnb.coordinator.lab import Lab
    from flnb.coordinator.loop import LoopThread
    from flnb.coordinator.population import Population
    from flnb.store import LabStore, QuarantineRecord


class Resting:
    """Who rests, as everybody knows it who draws in this process."""

    def __init__(self) -> None:
        self.names: frozenset[ClientId] = frozenset()

    def __contains__(self, client: object) -> bool:
        return client in self.names


class Quarantining:
    """Clients of a coordinator that rest; `Coordinator` inherits it."""

    lab: Lab
    _populations: list[Population]
    _resting: Resting
    _loop: LoopThread | None

    def quarantine(self, client: str, reason: str) -> None:
        """Let a client rest: it may stay connected, and is drawn for no round until it is released.

        Args:
            client: Its name; a simulated one can rest, too. One that rests already keeps its reason.
            reason: Why; kept in the operations log.

        Raises:
            PlanError: No reason.
            NotFoundError: Nobody of that name has joined or is simulated here.
        """
        here = (name for each in tuple(self._populations) for name in each.clients)
        put_in_quarantine(self.lab.store, client, reason, here)
        self.rest(self.lab.store.state.quarantines())

    def release(self, client: str, reason: str = "") -> None:
        """Let a client be drawn again; runs that wait for it go on.

        Args:
            client: Its name.
            reason: Why; kept in the operations log.

        Raises:
            RoundStateError: It is not in quarantine.
        """
        self.lab.store.state.release(client, actor(), reason)
        self.rest(self.lab.store.state.quarantines())

    @property
    def quarantines(self) -> dict[str, QuarantineRecord]:
        """Everybody who rests, by name, with who said so, when and why."""
        return self.lab.store.state.quarantines()

    def rest(self, names: Iterable[str]) -> None:
        """From now on these are not drawn, and all others are."""
        resting = frozenset(map(ClientId, names))
        if resting == self._resting.names or self._loop is None:
            return
        self._resting.names = resting
        for population in tuple(self._populations):  # runs may wait for who is back
            self._loop.loop.call_soon_threadsafe(population.changed.set)


def put_in_quarantine(
    store: LabStore, client: str, reason: str, simulated: Iterable[str] = ()
) -> None:
    """Write that a client rests; a coordinator in another process sees it within half a second.

    Raises:
        PlanError: No reason.
        NotFoundError: Nobody of that name has joined, and it is none of the others.
    """
    if not reason.strip():
        raise PlanError("a quarantine needs a reason", hint='--reason "…", or reason="…"')
    if store.state.find_client(client) is None and client not in (others := list(simulated)):
        joined = [record.name for record in store.state.clients()]
        raise NotFoundError("client", client, [*joined, *others])
    store.state.quarantine(client, actor(), reason)


def end_quarantine(store: LabStore, client: str, reason: str) -> None:
    """Write that a client may be drawn again; see `put_in_quarantine`.

    Raises:
        RoundStateError: It is not in quarantine.
    """
    store.state.release(client, actor(), reason)
