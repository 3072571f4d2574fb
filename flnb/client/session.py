"""One session with a coordinator: notes out in order, notes in, chunks both ways.

What the coordinator wants is done beside the reading of its notes; what is being trained outlives
the session (`desk.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from flnb.client.bases import Bases
from flnb.client.coordinator_link import Call, CoordinatorLink
from flnb.client.desk import Desk, Member, failed, n_payload_bytes
from flnb.client.events import ClientEvent, Kind, Tell
from flnb.client.outbox import Held, key_of
from flnb.client.ownership import About
from flnb.client.transfers import Transfers
from flnb.core.errors import AccessRefusedError, FLBaseError, UnreachableError
from flnb.core.failpoints import reach
from flnb.transport.manifest import check_places
from flnb.transport.v1 import federation_pb2 as pb

_MOST_WAITING = 16
"""Assignments that may wait for their turn; one coordinator has a few runs at most."""
_SHORTEST_ALIVE_S = 0.05
_SILENT_S = 30.0
"""So long a coordinator may leave signs of life unanswered. The line is dead then, and gRPC would
take twice as long to find out."""
_LEAVE_S = 1.0
_Tasks = dict[bytes, asyncio.Task[None]]


class Session:
    """One session, from its hello to its end; belongs to the loop.

    Args:
        wire: The connection.
        token: Lets it in.
        member: Who this is.
        about: What it trains.
        desk: Does the work.
        bases: Keeps versions.
        tell: Hears what happens.
    """

    def __init__(
        self,
        wire: CoordinatorLink,
        token: str,
        member: Member,
        about: About,
        desk: Desk,
        bases: Bases,
        tell: Tell,
    ) -> None:
        self.token = token
        """The newest access token."""
        self.welcomed = self.useful = False
        """Whether it began, and whether an update got through."""
        self.dismissed = False
        """Whether the coordinator said that this client need not come back."""
        self._wire, self._member, self._about = wire, member, about
        self._desk, self._tell = desk, tell
        self._transfers = Transfers(wire, lambda: self.token, bases)
        self._notes: asyncio.Queue[pb.ClientNote] = asyncio.Queue()
        self._group = asyncio.TaskGroup()
        self._beside: set[asyncio.Task[None]] = set()
        self._taking: _Tasks = {}
        self._sending: _Tasks = {}
        self._turn = asyncio.Lock()
        self._silent_s = 0.0
        """For how long this client has said that it is alive, and heard nothing."""
        self._reason = "the coordinator ended the session"

    async def serve(self) -> str:
        """Be here until the session ends.

        Returns:
            Why it ended, if the client may come back.

        Raises:
            AccessRefusedError: The coordinator does not want this client; the reason is its own.
            FLBaseError: The connection broke, or the token is too old.
        """
        call = self._wire.session(self.token)
        self._desk.report = self._say
        try:
            held = [one.assignment for one in self._desk.outbox.held]
            await call.write(self._about.hello(held))
            async with self._group:
                self._spawn(self._write(call))
                try:
                    await self._read(call)
                finally:
                    for task in self._beside:
                        task.cancel()
        except BaseExceptionGroup as several:
            raise _first_of(several) from None
        finally:
            self._desk.report = None
            await call.close()
        return self._reason

    async def leave(self) -> None:
        """Say that this client goes, and wait a moment until it is said."""
        self._say(pb.ClientNote(leaving=pb.Leaving()))
        with suppress(TimeoutError):
            await asyncio.wait_for(self._notes.join(), _LEAVE_S)

    # --- notes ----------------------------------------------------------------------------------

    def _say(self, note: pb.ClientNote) -> None:
        self._notes.put_nowait(note)

    async def _write(self, call: Call) -> None:
        while True:
            note = await self._notes.get()
            await call.write(note)
            if note.HasField("offer"):
                reach("client-offered")
            self._notes.task_done()

    async def _read(self, call: Call) -> None:
        async for note in call:
            self._heard(note)
            if note.HasField("goodbye"):
                return

    def _heard(self, note: pb.CoordinatorNote) -> None:
        self._silent_s = 0.0
        match note.WhichOneof("note"):
            case "welcome":
                self._welcome(note.welcome)
            case "assignment":
                self._assigned(note.assignment)
            case "wanted":
                self._wanted(note.wanted)
            case "verdict":
                self._judged(note.verdict)
            case "withdrawn":
                self._withdraw(note.withdrawn)
            case "renew":
                self._prove(note.renew.nonce)
            case "token":
                self.token = note.token.access_token
            case "goodbye":
                self._part(note.goodbye)
            case _:  # a newer coordinator may say more than this client understands
                pass

    def _welcome(self, welcome: pb.Welcome) -> None:
        if self.welcomed:
            return
        self.welcomed = True
        about = self._about
        lab = self._member.lab
        text = f"connected to lab {lab} as {self._member.client}, {about.n_examples:,} examples"
        self._tell(ClientEvent("connected", text))
        if self._desk.working_on is None:
            self._tell(ClientEvent("waiting", "waiting for work"))
        self._spawn(self._live(max(_SHORTEST_ALIVE_S, welcome.alive_every_s)))

    async def _live(self, every_s: float) -> None:
        while True:
            await asyncio.sleep(every_s)
            # Thousands that only wait would cost the coordinator more than those that work.
            if self._desk.working_on or self._desk.outbox.held or self._taking or self._sending:
                if self._silent_s >= _SILENT_S:
                    raise UnreachableError(
                        f"the coordinator has not been heard of for {self._silent_s:.0f} s"
                    )
                self._say(pb.ClientNote(alive=pb.Alive(working_on=self._desk.working_on)))
                self._silent_s += every_s

    def _prove(self, nonce: bytes) -> None:
        lab = self._member.lab.encode()
        signature = self._member.identity.sign("flnb-sign-in", lab, nonce)
        self._say(pb.ClientNote(proof=pb.Proof(nonce=nonce, signature=signature)))

    def _part(self, goodbye: pb.Goodbye) -> None:
        if goodbye.for_good:
            self.dismissed = True
            raise AccessRefusedError(goodbye.reason or "the coordinator ended this for good")
        self._reason = goodbye.reason or self._reason

    # --- work -----------------------------------------------------------------------------------

    def _assigned(self, assignment: pb.Assignment) -> None:
        id_, key = assignment.id, key_of(assignment.id)
        if key in self._taking or self._desk.works_on(assignment):
            return
        if (known := self._desk.answer(assignment)) is not None:
            self._say(known)
        elif objection := self._objection(assignment):
            self._fail(id_, objection)
        else:
            self._spawn_as(self._taking, key, self._take(assignment))

    def _objection(self, assignment: pb.Assignment) -> str:
        if assignment.id.client != self._member.client:
            return f"this is {self._member.client}, not {assignment.id.client}"
        expected = n_payload_bytes(self._desk.layout)
        if assignment.base.n_bytes != expected:
            return (
                f"the version has {assignment.base.n_bytes:,} bytes, the model of task "
                f"{self._about.task!r} has {expected:,} here"
            )
        if len(self._taking) >= _MOST_WAITING:
            return f"{_MOST_WAITING} assignments wait here already"
        return ""

    async def _take(self, assignment: pb.Assignment) -> None:
        """Get the base, and begin when what is being trained is done."""
        reach("client-assigned")
        async with self._turn:
            try:
                base = await self._transfers.base(assignment)
            except (FLBaseError, OSError) as error:
                self._fail(assignment.id, f"the version could not be received: {error}")
                return
            await self._desk.free()
            self._desk.start(assignment, base)

    def _withdraw(self, withdrawn: pb.Withdrawn) -> None:
        id_ = withdrawn.assignment
        if (taking := self._taking.pop(key_of(id_), None)) is not None:
            taking.cancel()
        self._desk.withdraw(id_)
        self._tell_of(id_, "withdrawn", f"round {id_.round} is not wanted: {withdrawn.reason}")

    # --- updates --------------------------------------------------------------------------------

    def _wanted(self, wanted: pb.Wanted) -> None:
        id_, key = wanted.assignment, key_of(wanted.assignment)
        if (held := self._desk.outbox.find(id_)) is None:
            self._fail(id_, "this update is not kept here any more")
        elif not (chunks := check_places(wanted.chunks, held.manifest.chunk_count)):
            self._say(held.offer())
        elif key not in self._sending:
            self._spawn_as(self._sending, key, self._send(held, chunks))

    async def _send(self, held: Held, chunks: list[int]) -> None:
        id_, n_bytes = held.assignment, held.manifest.n_bytes
        try:
            complete = await self._transfers.send(held, chunks)
        except FLBaseError as error:
            self._fail(id_, f"the update could not be sent: {error}")
            return
        if not complete:
            self._say(held.offer())
            return
        text = f"sent the update for round {id_.round} ({n_bytes / 1e6:.1f} MB)"
        self._tell_of(id_, "sent", text, n_bytes)

    def _judged(self, verdict: pb.Verdict) -> None:
        id_ = verdict.assignment
        self._transfers.over(id_)
        if verdict.kind == pb.Verdict.RECEIVED:
            self.useful = True
            reach("client-received")
            self._tell_of(id_, "received", f"the update for round {id_.round} was received")
        elif verdict.kind == pb.Verdict.SETTLED:
            self._desk.outbox.forget(id_)
            self._tell_of(id_, "settled", f"round {id_.round} is saved")
        elif verdict.kind == pb.Verdict.REFUSED:
            self._desk.outbox.forget(id_)
            text = f"the update for round {id_.round} was refused: {verdict.reason}"
            self._tell_of(id_, "refused", text)

    def _fail(self, assignment: pb.AssignmentId, reason: str) -> None:
        self._say(failed(assignment, reason))
        self._tell_of(assignment, "failed", f"round {assignment.round} failed here: {reason}")

    def _tell_of(self, about: pb.AssignmentId, kind: Kind, text: str, n_bytes: int = 0) -> None:
        self._tell(ClientEvent(kind, text, about.run, about.round, n_bytes=n_bytes))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._group.create_task(work)
        self._beside.add(task)
        task.add_done_callback(self._beside.discard)
        return task

    def _spawn_as(self, table: _Tasks, key: bytes, work: Coroutine[Any, Any, None]) -> None:
        """Do something beside the reading that can be looked up while it is done."""

        def over(task: asyncio.Task[None]) -> None:
            if table.get(key) is task:
                del table[key]

        table[key] = self._spawn(work)
        table[key].add_done_callback(over)


def _first_of(several: BaseExceptionGroup[BaseException]) -> BaseException:
    """The most telling of several errors that ended a session at once."""
    return min(_leaves(several), key=_rank)


def _leaves(error: BaseException) -> list[BaseException]:
    if not isinstance(error, BaseExceptionGroup):
        return [error]
    return [leaf for inner in error.exceptions for leaf in _leaves(inner)]


def _rank(error: BaseException) -> int:
    if not isinstance(error, FLBaseError):
        return 0  # nobody expected it
    return 1 if isinstance(error, AccessRefusedError) else 2
