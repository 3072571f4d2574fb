"""History of a run of a coordinator elsewhere: looked at here, worked out there."""

from __future__ import annotations

import hashlib
import json
import time
from io import BufferedRandom
from pathlib import Path
from typing import TYPE_CHECKING

from flnb.coordinator.control.plain_history import (
    checkpoint_from_json,
    difference_from_json,
    key_to_message,
    preview_from_json,
    walk_from_json,
)
from flnb.coordinator.control.wire import Wire
from flnb.coordinator.history.checkpoint import Checkpoint, draft_of
from flnb.coordinator.history.difference import Difference
from flnb.coordinator.history.preview import Preview
from flnb.coordinator.history.walk import Walk
from flnb.core.errors import IntegrityError, UnreachableError
from flnb.core.ids import RunId
from flnb.store import Request
from flnb.transport.v1 import control_pb2 as pb

if TYPE_CHECKING:
    from flnb.tensors import Model

_TRIES = 5
_FIRST_S = 0.3
"""Between two tries to reach the service again; the wait doubles."""


class DistantWalk(Walk):
    """The branches of a run elsewhere.

    Args:
        wire: Asks the service.
        run: The branch that is looked at.
    """

    def __init__(self, wire: Wire, run: RunId) -> None:
        told = wire.whole("History", pb.HistoryRequest(run=run))
        super().__init__(*walk_from_json(told))
        self._wire, self._run = wire, run

    def checkpoint(self, which: int | str) -> Checkpoint:
        """Find a committed round; see `Walk.checkpoint`."""
        request = pb.CheckpointRequest(run=self._run, which=json.dumps(which))
        return DistantCheckpoint(self._wire, self._wire.whole("Checkpoint", request))


class DistantCheckpoint(Checkpoint):
    """A committed round elsewhere; its values come when they are asked for.

    Args:
        wire: Asks the service.
        told: What the service says of it.
    """

    def __init__(self, wire: Wire, told: bytes) -> None:
        super().__init__(*checkpoint_from_json(told))
        self._wire = wire

    def export(self, path: str | Path) -> Path:
        """Write the version as a safetensors file; see `Checkpoint.export`.

        It comes in parts and is held nowhere as a whole: a connection that breaks goes on where it
        stopped. The digest of all of it is compared before the file takes its place.

        Raises:
            IntegrityError: What arrived is not what was sent.
            UnreachableError: Nobody answers any more.
        """
        path = Path(path)
        draft, tries, n_bytes = draft_of(path), 0, 0
        try:
            with draft.open("w+b") as file:
                while isinstance(head := self._fetch(file), UnreachableError):
                    came, n_bytes = file.tell() > n_bytes, file.tell()
                    tries = 1 if came else tries + 1
                    _wait(tries, head)
                _compare(file, head)
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
        return path

    def diff(self, other: Checkpoint) -> Difference:
        """Compare two versions where they lie, if both are there; see `Checkpoint.diff`."""
        if not isinstance(other, DistantCheckpoint) or other._wire is not self._wire:
            return super().diff(other)
        before, after = key_to_message(self.key), key_to_message(other.key)
        request = pb.DiffRequest(before=before, after=after)
        return difference_from_json(self._wire.whole("Diff", request))

    def _read(self) -> tuple[Model, str]:
        from flnb.coordinator.control.distant import model_of  # it imports this module

        request = pb.ModelRequest(run=self.key.run, round=key_to_message(self.key))
        return model_of(self._wire, request)

    def _fetch(self, file: BufferedRandom) -> pb.FileHead | UnreachableError:
        """Write what is missing to the end of a file; says if the connection broke meanwhile."""
        request = pb.ExportRequest(round=key_to_message(self.key), after=file.seek(0, 2))
        heads: list[pb.FileHead] = []

        def take(part: bytes) -> None:
            if heads:
                file.write(part)
            else:
                heads.append(pb.FileHead.FromString(part))

        try:
            self._wire.each("Export", request, take)
        except UnreachableError as error:
            return error
        return heads[0]


class DistantPreview(Preview):
    """What a roll back elsewhere would do.

    Args:
        wire: Asks the service.
        run: The branch.
        to: A round of its line, or a name.
    """

    def __init__(self, wire: Wire, run: RunId, to: int | str) -> None:
        request = pb.CheckpointRequest(run=run, which=json.dumps(to))
        super().__init__(**preview_from_json(wire.whole("Preview", request)))
        self._wire, self._run, self._to = wire, run, to

    def _move(self, asked: Request) -> None:
        request = pb.RollbackRequest(
            run=self._run,
            seen_generation=self.seen[0],
            seen_round=self.seen[1],
            base=key_to_message(self.base) if self.base else None,
            reason=asked.reason,
            id=asked.id,
        )
        once_more(self._wire, "Rollback", request)
        self._wire.held("Run", pb.RunRequest(run=self._run))

    def _afresh(self) -> DistantPreview:
        return DistantPreview(self._wire, self._run, self._to)


def once_more(wire: Wire, method: str, request: pb.RollbackRequest) -> None:
    """Ask for what is done once however often it is asked for, until an answer comes.

    Raises:
        UnreachableError: None came; whether it was done is not known, and asking again does no harm.
    """
    tries = 0
    while True:
        try:
            wire.ask(method, request, pb.ToldReply)
        except UnreachableError as error:
            tries += 1
            _wait(tries, error)
        else:
            return


def _wait(tries: int, error: UnreachableError) -> None:
    """Let some time pass before the next try.

    Raises:
        UnreachableError: It was the last one.
    """
    if tries >= _TRIES:
        raise error
    time.sleep(_FIRST_S * 2 ** (tries - 1))


def _compare(file: BufferedRandom, head: pb.FileHead) -> None:
    file.flush()
    file.seek(0)
    digest = hashlib.file_digest(file, "sha256").hexdigest()
    if (n_bytes := file.tell()) != head.n_bytes or digest != head.sha256:
        raise IntegrityError(
            f"{n_bytes:,} bytes came with digest {digest[:12]}, {head.n_bytes:,} with "
            f"{head.sha256[:12]} were sent"
        )
