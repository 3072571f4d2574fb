"""Which remote clients are here, and who must hear of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from flnb.core.errors import AccessRefusedError
from flnb.core.ids import ClientId


class Presence:
    """The remote clients of one model layout that are connected; changed on the loop."""

    def __init__(self) -> None:
        self.clients: Mapping[ClientId, int] = {}
        """Everybody who is here, with the number of examples; another one after each change."""
        self.on_change: set[Callable[[], None]] = set()
        """Called on the loop when a client comes or goes."""
        self.simulates: set[Callable[[ClientId], bool]] = set()
        """Says of each population whether it simulates a client of that name."""

    def check_name(self, client: ClientId) -> None:
        """See that somebody could invite a client of this name.

        Raises:
            AccessRefusedError: Every population has a simulated client of that name.
        """
        taken = tuple(self.simulates)
        if taken and all(simulates(client) for simulates in taken):
            raise AccessRefusedError(
                f"{client!r} is the name of a simulated client here",
                hint="have yourself invited under another name, or let that one not be simulated",
            )

    def came(self, client: ClientId, n_examples: int) -> None:
        """A client is here, or has another number of examples."""
        self._become({**self.clients, client: n_examples})

    def left(self, client: ClientId) -> None:
        """A client is not here any more."""
        self._become({name: n for name, n in self.clients.items() if name != client})

    def _become(self, clients: Mapping[ClientId, int]) -> None:
        self.clients = clients
        for told in tuple(self.on_change):  # a population may be closed in another thread
            told()
