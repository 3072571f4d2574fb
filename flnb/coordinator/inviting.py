"""The part of a coordinator that lets remote clients in: listen, invite, who is here, revoke."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flnb.coordinator.client_list import ClientList, clients_of
from flnb.coordinator.invitations import Invitation, invitation
from flnb.coordinator.listening import Desk, Place, open_desk
from flnb.coordinator.serving import HttpPlace, Served
from flnb.core.clock import SYSTEM_CLOCK
from flnb.core.errors import NameTakenError, RoundStateError
from flnb.core.ids import ClientId

if TYPE_CHECKING:
    from flnb.coordinator.lab import Lab
    from flnb.coordinator.loop import LoopThread
    from flnb.store import LabStore
    from flnb.transport import Controls, TokenIssuer


class Inviting:
    """Remote clients of a coordinator; `Coordinator` inherits it."""

    lab: Lab
    _desk: Desk | None = None
    _served: Served | None = None

    def _thread(self) -> LoopThread:
        raise NotImplementedError

    def _check_holder(self, what: str) -> None:
        """Refuse what a guest of the lab does not do."""
        raise NotImplementedError

    async def _in_io(self, work: Any, *arguments: Any) -> Any:
        raise NotImplementedError

    def _controls(self, issuer: TokenIssuer) -> Controls:
        """What answers people's programs on the same port."""
        raise NotImplementedError

    def _simulates(self, client: ClientId) -> bool:
        """Whether every population has a simulated client of this name, so that no other is drawn."""
        raise NotImplementedError

    def _simulated(self) -> Mapping[str, int]:
        """How many clients are simulated, by the name of their task."""
        raise NotImplementedError

    def _listening(self) -> None:
        """Called once clients can join: simulated populations take them in."""

    @property
    def address(self) -> str | None:
        """Where remote clients reach this coordinator; None until it listens."""
        return self._desk.place.address if self._desk is not None else None

    @property
    def http(self) -> str | None:
        """Where people's programs find its REST; None until it serves that."""
        return self._served.place.url if self._served is not None else None

    def listen(
        self,
        host: str | None = None,
        port: int | None = None,
        *,
        tls: bool | None = None,
        tls_dir: Path | str | None = None,
        mutual_tls: bool | None = None,
        public_address: str | None = None,
        http_port: int | None = None,
        http_host: str = "127.0.0.1",
        cors: Sequence[str] = (),
        token_in_url: bool = False,
        metrics_open: bool = False,
        log_json: bool = False,
    ) -> str:
        """Open a port for remote clients; one that is open stays, so the cell can be run again.

        The lab remembers how it was asked, so that its clients find the next coordinator there.

        Args:
            host: The address to listen at, as clients name it; by default the one that the lab
                remembers, or loopback.
            port: 0 takes a free one; by default the one that the lab remembers.
            tls: Encrypt. By default everywhere but on loopback, where it can be left out.
            tls_dir: Folder of certificates that `flnb certs` made. By default the lab's own, where
                whatever is missing is made.
            mutual_tls: Let only clients with a certificate of the authority through; invitations
                then come with a file to hand over.
            public_address: Under which host clients reach it, where that is another one: with
                `0.0.0.0` it listens at every address of the machine, which nobody can connect to.
            http_port: Serve REST and events there as well, for people's programs; 0 is any free
                port. By default nothing is served, and what is served already stays.
            http_host: The address of that port; where it is not loopback, the certificate of the
                coordinator is shown there.
            cors: Origins of pages elsewhere that may call, such as `http://localhost:5173`.
            token_in_url: Let a WebSocket's token stand in its address, where others may see it.
            metrics_open: Show the figures of `/metrics` to everybody on this machine, without a token.
            log_json: Let what serves HTTP log as JSON, a line a request.

        Returns:
            The address that clients connect to.

        Raises:
            PlanError: Not encrypted and not on loopback, no address that clients could reach, the
                port is taken, the certificate is for other hosts, or on a public address others could know the key that signs tokens.
            StoreError: A certificate is missing or no longer good.
            RoundStateError: It listens already, elsewhere or in another way; or is a guest of the lab.
        """
        self._check_holder("lets no clients join and serves nobody")
        asked = None
        if http_port is not None:
            asked = HttpPlace(
                http_port, http_host, tuple(cors), token_in_url, metrics_open, log_json
            )
        desk = self._desk
        before = Place.of(self.lab.path) if desk is None else desk.place
        place = before.asked(
            host,
            port,
            tls=tls,
            tls_dir=tls_dir,
            mutual_tls=mutual_tls,
            public_address=public_address,
        )
        if desk is None:
            desk = self._desk = self._thread().call(
                open_desk(self.lab.store, place, self._in_io, self._controls)
            )
            desk.place.save(self.lab.path)
            self._listening()
        elif not place.is_met_by(desk.place):
            raise RoundStateError(
                f"the coordinator listens already, at {desk.place}, and was asked for {place}",
                hint="coord.stop(), coord.start(), then listen before you invite",
            )
        if asked is not None:
            self._serve(asked, desk.place)
        return desk.place.address

    def _serve(self, asked: HttpPlace, place: Place) -> None:
        if self._served is None:
            self._served = Served(self.lab.store, place, asked)
        elif not asked.is_met_by(self._served.place):
            raise RoundStateError(
                f"the coordinator serves HTTP already, at {self._served.place.url}, and was asked "
                "for something else",
                hint="coord.stop(), coord.start(), then listen in the other way",
            )

    def invite(self, client: str, *, expires: str = "2h") -> Invitation:
        """Let a remote client join, once, under a name; listens on loopback if nothing does.

        A name that has joined before keeps its history; the new key takes its place.

        Args:
            client: Its name: letters, digits, `-`, `_` and `.`.
            expires: For how long, such as `"30m"`, `"2h"` or `"7d"`.

        Returns:
            Shows the line to run at the client.

        Raises:
            PlanError: Not a name, or not a time.
            NameTakenError: A simulated client has this name.
            StoreError: The client's certificate cannot be read or issued.
        """
        if self._simulates(ClientId(client)):
            raise NameTakenError(
                f"{client!r} is the name of a simulated client here",
                hint="invite it under another name: this one would be refused when it joins",
            )
        self.listen()
        assert self._desk is not None, "it listens now"
        return invitation(self.lab.store, self._desk.place, client, expires)

    def revoke(self, client: str, reason: str = "revoked") -> None:
        """Shut a remote client out: its session ends, its tokens and invites are void.

        An invite that nobody has used yet is taken back by this, too.

        Raises:
            NotFoundError: Nobody of that name has joined, and no invite for it is open.
        """
        store: LabStore = self.lab.store
        store.state.revoke_client(client, reason, SYSTEM_CLOCK.now())
        if self._desk is not None:
            loop = self._thread().loop
            loop.call_soon_threadsafe(self._desk.front.expel, ClientId(client), reason)

    @property
    def clients(self) -> ClientList:
        """The remote clients of this lab, what they are doing, and who is invited."""
        return ClientList(clients_of(self.lab, self.present()), self._simulated())

    def present(self) -> Mapping[ClientId, str]:
        """What remote clients do that are here, as their own loop sees it."""
        desk = self._desk
        if desk is None:
            return {}
        if (thread := self._thread()).here:
            return desk.front.states()

        async def states() -> Mapping[ClientId, str]:
            return desk.front.states()

        return thread.call(states())

    def _close_desk(self) -> None:
        """Say goodbye to clients and free the ports."""
        served, self._served = self._served, None
        if served is not None:
            served.close()
        desk, self._desk = self._desk, None
        if desk is not None:

            async def close() -> None:
                await desk.front.close()
                await desk.server.stop(1.0)

            self._thread().call(close())
