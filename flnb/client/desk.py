"""What a client works on, and the answers that it has; goes on while connections come and go.

Training happens in one thread of its own, so that the loop, and with it the session, stays alive
however long it takes. A training cannot be interrupted: what nobody wants any more is finished and
thrown away.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from jaxtyping import UInt8

from flnb.client.events import ClientEvent, Tell
from flnb.client.hand import Hand
from flnb.client.outbox import PURPOSE, Held, Outbox, key_of
from flnb.client.shelf import Shelf
from flnb.client.trainer import Train
from flnb.core import ClientHalf, ClientId, Local, RunId, Work
from flnb.core.errors import FLBaseError, IntegrityError
from flnb.core.failpoints import reach
from flnb.core.messages import Segment
from flnb.tensors import Layout, Model
from flnb.training import LocalResult, user_traceback
from flnb.transport.identity import Identity
from flnb.transport.manifest import Manifest
from flnb.transport.v1 import federation_pb2 as pb

log = logging.getLogger(__name__)

_FAILURES = 8
"""Failures that are remembered; an older one is found out again by failing again."""
_SEGMENTS = 64
"""More of a line than a client keeps states for."""
_TRACEBACK = 20_000
"""Characters of a traceback that are sent: its end."""


@dataclass(frozen=True, slots=True)
class Member:
    """Who a client is, once it has joined."""

    client: ClientId
    lab: str
    identity: Identity


class Desk:
    """One piece of work at a time, and the answers to those before; belongs to the loop.

    Args:
        member: Who signs.
        layout: Of the models that are trained here.
        train: Does it.
        outbox: Where signed updates are kept.
        shelf: Where the client's own states are kept.
        tell: Hears what happens.
    """

    def __init__(
        self,
        member: Member,
        layout: Layout,
        train: Train,
        *,
        outbox: Outbox,
        shelf: Shelf,
        tell: Tell,
    ) -> None:
        self.outbox, self.layout, self._shelf = outbox, layout, shelf
        self.report: Callable[[pb.ClientNote], None] | None = None
        """Takes an answer to the coordinator; None while there is no session."""
        self._member, self._train, self._tell = member, train, tell
        self._failures: dict[bytes, str] = {}
        self._current: pb.Assignment | None = None
        self._withdrawn = False
        self._free = asyncio.Event()
        self._free.set()
        self._hand = Hand("flnb-client-train")
        self._working: asyncio.Task[None] | None = None

    def become(self, member: Member) -> None:
        """Sign with another key from now on, and anew what was signed with the one before."""
        self._member = member
        self.outbox.sign_anew(member.identity)

    def answer(self, assignment: pb.Assignment) -> pb.ClientNote | None:
        """What is known without training: the signed update, or that it failed."""
        held = self.outbox.find(assignment.id)
        if held is not None and held.envelope.base_digest == _digest(assignment):
            return held.offer()
        failure = self._failures.get(key_of(assignment.id))
        return None if failure is None else failed(assignment.id, failure)

    @property
    def working_on(self) -> pb.AssignmentId | None:
        """What is being trained."""
        return None if self._current is None else self._current.id

    def works_on(self, assignment: pb.Assignment) -> bool:
        """Whether just this is being trained; it is wanted then, if it was not for a while."""
        if self._current != assignment:
            return False
        self._withdrawn = False
        return True

    async def free(self) -> None:
        """Wait until nothing is being trained."""
        await self._free.wait()

    def start(self, assignment: pb.Assignment, base: UInt8[np.ndarray, " n"]) -> None:
        """Begin to train; the desk must be free. The answer goes to `report`."""
        assert self._current is None, "one piece of work at a time"
        self._current, self._withdrawn = assignment, False
        self._free.clear()
        self._working = asyncio.create_task(self._work(assignment, base), name="flnb-client-work")
        self._working.add_done_callback(_look_at)

    def withdraw(self, assignment: pb.AssignmentId) -> None:
        """Nobody wants this any more; what is signed already is kept until it is settled."""
        if self.working_on == assignment:
            self._withdrawn = True

    async def close(self) -> None:
        """Leave the work; a training that runs ends in its thread and is forgotten."""
        self._withdrawn = True
        self._hand.close()
        if self._working is not None:
            self._working.cancel()
            await asyncio.wait([self._working])

    async def _work(self, assignment: pb.Assignment, base: UInt8[np.ndarray, " n"]) -> None:
        id_ = assignment.id
        self._tell(ClientEvent("training", f"training for round {id_.round}", id_.run, id_.round))
        try:
            outcome = await self._hand.do(partial(self._outcome, assignment, base))
        finally:
            self._current = None
            self._free.set()
        if isinstance(outcome, Held):
            self.outbox.keep(outcome)
            self.outbox.sign_anew(self._member.identity)  # it may be another one meanwhile
            reach("client-signed")
            note = (self.outbox.find(id_) or outcome).offer()
        else:
            self._remember(id_, outcome)
            note = failed(id_, outcome)
            text = f"round {id_.round} failed here\n{outcome}"
            self._tell(ClientEvent("failed", text, id_.run, id_.round))
        if self._withdrawn:
            self.outbox.forget(id_)
        elif self.report is not None:
            self.report(note)

    def _outcome(self, assignment: pb.Assignment, base: UInt8[np.ndarray, " n"]) -> Held | str:
        """Train and sign, in the thread: the update, or why there is none."""
        try:
            work = _work_of(assignment)
            reach("client-training")
            result = self._train(_model_of(self.layout, base), work)
            reach("client-trained")
            _check_layout(self.layout, result.update.layout)
            back = self._shelf.went_back_to(work) if result.state else None
            if result.state:  # before the update: what was sent must never have forgotten it
                self._shelf.put(work, _digest(assignment), result.state)
                reach("client-remembered")
            seal = partial(self._sealed, assignment, result, back)
            return self.outbox.write(assignment.id, result.update, seal)
        except FLBaseError as error:
            return _sendable(str(error))  # says what to do by itself
        except (Exception, SystemExit) as error:  # a task's code may raise anything
            return _sendable(user_traceback(error))

    def _sealed(
        self, assignment: pb.Assignment, result: LocalResult, back: int | None, manifest: Manifest
    ) -> tuple[bytes, bytes]:
        metrics = [
            pb.Metric(name=name, total=metric.total, count=metric.count)
            for name, metric in result.metrics.items()
        ]
        envelope = pb.Envelope(
            assignment=assignment.id,
            base_digest=_digest(assignment),
            update=manifest.to_message(),
            n_examples=result.n_examples,
            loss=result.loss,
            train_s=result.train_s,
            metrics=metrics,
            went_back_to=back,
        ).SerializeToString()
        return envelope, self._member.identity.sign(PURPOSE, envelope)

    def _remember(self, assignment: pb.AssignmentId, failure: str) -> None:
        self._failures[key_of(assignment)] = failure
        if len(self._failures) > _FAILURES:
            del self._failures[next(iter(self._failures))]


def _look_at(working: asyncio.Task[None]) -> None:
    if not working.cancelled() and (error := working.exception()) is not None:
        log.error("what was trained could not be put away", exc_info=error)


def failed(assignment: pb.AssignmentId, reason: str) -> pb.ClientNote:
    """The note that says that there will be no update, and why."""
    failure = pb.Failure(assignment=assignment, traceback=_sendable(reason))
    return pb.ClientNote(failure=failure)


def n_payload_bytes(layout: Layout) -> int:
    """Bytes of a version or an update on the wire: float32 values, then int64 integers."""
    return 4 * layout.n_values + 8 * layout.n_integers


def _model_of(layout: Layout, base: UInt8[np.ndarray, " n"]) -> Model:
    if base.size != n_payload_bytes(layout):
        raise IntegrityError(f"a version of {base.size:,} bytes is not of this task's model")
    split = 4 * layout.n_values
    return Model(layout, base[:split].view(np.float32), base[split:].view(np.int64))


def _check_layout(own: Layout, made: Layout) -> None:
    if reason := own.differs_from(made):
        raise IntegrityError(f"the update is of another model: {reason}")


def _work_of(assignment: pb.Assignment) -> Work:
    id_ = assignment.id
    try:
        local = Local(**json.loads(assignment.local))
    except (ValueError, TypeError) as error:
        raise IntegrityError(f"the settings of the work cannot be read: {error}") from error
    # On the wire a seed is unsigned; the plan's is not.
    seed = assignment.seed - 2**64 if assignment.seed >= 2**63 else assignment.seed
    return Work(
        run=RunId(id_.run),
        seed=seed,
        round=id_.round,
        attempt=id_.attempt,
        stage=id_.stage,
        clients=(ClientId(id_.client),),
        half=ClientHalf(assignment.entry, local),
        weighting=assignment.weighting,
        generation=id_.generation,
        federated=assignment.federated,
        deadline_s=assignment.deadline_s or None,
        line=tuple(
            Segment(RunId(one.run), one.generation, one.after, one.last or None)
            for one in assignment.line[-_SEGMENTS:]
        ),
    )


def _digest(assignment: pb.Assignment) -> bytes:
    return Manifest.from_message(assignment.base).digest


def _sendable(text: str) -> str:
    return text[-_TRACEBACK:].encode(errors="replace").decode()
