"""Client: a participant in a process of its own, for as long as somebody wants it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path

from flnb.client.coordinator_link import CoordinatorLink
from flnb.client.events import ClientEvent, Tell, teller
from flnb.client.opening import open_link, own_certificate
from flnb.client.rotation import rotate_key
from flnb.client.shelf import Shelf, State
from flnb.client.state import Home, default_home
from flnb.client.stay import Stay
from flnb.client.trainer import OWN_HALVES, Train
from flnb.core import Work
from flnb.tasks import Task
from flnb.transport.invite import Invite

_LEAVE_S = 10.0


class Client:
    """Trains with the examples that are here, for a coordinator that is somewhere else.

        flnb.Client("flnb1.eJx…", task).run()

    Examples stay here, updates of the model go out. It joins when it comes for the first time,
    reconnects by itself, and keeps its last two signed updates on its disk until their rounds are
    saved; one before those would be trained again if it were asked for.

    Args:
        invite: The line that the coordinator gave, or the file that holds it.
        task: The model, and the examples of this client: those of the client of its name in the
            task's split, or of the only one there is.
        home: Where its key and its updates are kept; by default a folder of its own in `~/.flnb`,
            or in `FLNB_HOME`.
        on_event: Called, on the client's thread, with everything that happens.
        train: What to do with a version, in place of the client half that the strategy names:
            takes the version and the work, gives a `flnb.training.LocalResult`.
        allow_halves: Beginnings of module names, such as `mypackage.`, whose functions the
            coordinator may name as client halves beside those of flnb.
        patience_s: For how long nobody need answer at first; later it tries for ever.
        certificate: File with the client's certificate and key, where the coordinator asks for one
            (mutual TLS). It is read for every connection: a newer file may take its place.

    Raises:
        PlanError: The invite cannot be read.
    """

    def __init__(
        self,
        invite: str | Path | Invite,
        task: Task,
        *,
        home: Path | str | None = None,
        on_event: Tell | None = None,
        train: Train | None = None,
        allow_halves: Sequence[str] = (),
        patience_s: float = 60.0,
        certificate: Path | str | None = None,
    ) -> None:
        self._invite = invite if isinstance(invite, Invite) else Invite.parse(invite)
        self._task, self._train, self._patience_s = task, train, patience_s
        self._allowed = (*OWN_HALVES, *allow_halves)
        self._certificate = Path(certificate) if certificate else None
        self._tell = teller(on_event)
        self.home = Path(home) if home else default_home(self._invite.lab, self._invite.client)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wake = asyncio.Event()
        self._stopping = False
        self._staying: Stay | None = None

    def run(self) -> None:
        """Be a client until stopped or not wanted any more; ^C says goodbye first.

        Raises:
            KeyboardInterrupt: ^C.
            FLBaseError: As `arun`.
        """
        done: Future[None] = Future()
        threading.Thread(target=self._main, args=(done,), name="flnb-client", daemon=True).start()
        try:
            done.result()
        except KeyboardInterrupt:
            self.stop()
            with suppress(TimeoutError):
                done.result(_LEAVE_S)
            raise

    async def arun(self) -> None:
        """Be a client on the running loop, until stopped or not wanted any more.

        Raises:
            AccessRefusedError: The coordinator does not want this client; the reason is its own.
            UnreachableError: Nobody answered at first, for as long as the patience.
            StoreError: Another process is this client, or its folder or certificate cannot be used.
            TaskError: The model cannot be trained.
            DataError: There are no examples.
        """
        own_certificate(self._certificate)  # a wrong file is no reason to try again
        self._loop, self._wake = asyncio.get_running_loop(), asyncio.Event()
        if self._stopping:  # before it began
            self._wake.set()
        try:
            await self._stay()
        except Exception as error:
            self._tell(ClientEvent("ended", str(error)))
            raise
        finally:
            self._loop, self._stopping = None, False
        self._tell(ClientEvent("ended", "left the coordinator"))

    def remembered(self, work: Work) -> State | None:
        """What `train` remembered last, in a round of this run before the work's; None at first.

        Args:
            work: What `train` was given.

        Returns:
            The `state` of the `LocalResult` of that round, also after this process was killed.
        """
        return Shelf(self.home / "states").newest(work)

    def rotate_key(self) -> None:
        """Let another key speak for this client from now on; from any thread but that of its loop.

        Whoever has copied the one before is shut out. A client that runs goes on under the new key
        with a connection of its own making; a training that runs goes on.

        Raises:
            FLBaseError: As `flnb.client.rotate_key`.
        """
        loop, stay = self._loop, self._staying
        if loop is None or stay is None:
            rotate_key(self._invite, home=self.home, certificate=self._certificate)
        else:
            asyncio.run_coroutine_threadsafe(stay.change_key(), loop).result()

    def stop(self) -> None:
        """Leave; from any thread. A training that runs is given up."""
        self._stopping = True
        if (loop := self._loop) is not None:
            with suppress(RuntimeError):  # it has ended by itself meanwhile
                loop.call_soon_threadsafe(self._wake.set)

    async def _stay(self) -> None:
        if self._wake.is_set():
            return
        stay = self._staying = Stay(
            self._invite,
            self._task,
            Home(self.home),
            open_wire=self._open_wire,
            train=self._train,
            allowed=self._allowed,
            patience_s=self._patience_s,
            tell=self._tell,
        )
        running = asyncio.create_task(stay.run(), name="flnb-client-stay")
        stopped = asyncio.create_task(self._wake.wait(), name="flnb-client-stop")
        try:
            await asyncio.wait({running, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if not running.done():
                await stay.leave()
        finally:
            running.cancel()
            stopped.cancel()
            await asyncio.wait({running, stopped})
            self._staying = None
            await stay.close()
        if not running.cancelled():
            running.result()

    def _open_wire(self) -> CoordinatorLink:
        return open_link(self._invite, self._certificate)

    def _main(self, done: Future[None]) -> None:
        try:
            asyncio.run(self.arun())
        except BaseException as error:  # whoever waits in `run` must hear it
            done.set_exception(error)
        else:
            done.set_result(None)

    def __repr__(self) -> str:
        return f"<Client {self._invite.client} of lab {self._invite.lab} at {self._invite.address}>"
