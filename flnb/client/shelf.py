"""What a client remembers between rounds for its own algorithm: its last states, by round.

A state is named arrays of float32 or int64. It is written and synced before the update of its round
is offered, so whoever is killed comes back with the state that belongs to what it has sent. A file
is complete or not there; nothing in it is pickled.

    states/RUN/GENERATION-ROUND-ATTEMPT-BASE.npz     index (JSON: names, in order), then the arrays
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple
from zipfile import BadZipFile

import numpy as np

from flnb.client.state import sync_folder
from flnb.core import RunId, Work
from flnb.core.errors import StorageFullError, TaskError
from flnb.core.messages import Segment

KEEP = 5
"""States of a run that are kept, and as many that a roll back left behind; older ones are deleted."""
KEEP_RUNS = 4
"""Runs whose states are kept; those that went on last."""

State = Mapping[str, np.ndarray]

_ALLOWED = (np.dtype(np.float32), np.dtype(np.int64))
_PARTIAL = ".partial"


class _Place(NamedTuple):
    """Where a state belongs; a later round is greater."""

    generation: int
    round: int
    attempt: int
    base: str
    """Beginning of the digest of the version that was trained."""

    @classmethod
    def of(cls, path: Path) -> _Place:
        generation, round_, attempt, base = path.stem.split("-")
        return cls(int(generation), int(round_), int(attempt), base)

    def __str__(self) -> str:
        return f"{self.generation}-{self.round}-{self.attempt}-{self.base}"


class Shelf:
    """The last states of one client, in a folder.

    Args:
        folder: Made when the first state comes.
        keep: How many states of a run are kept.
    """

    def __init__(self, folder: Path, keep: int = KEEP) -> None:
        self._folder, self._keep = folder, keep

    def newest(self, work: Work) -> State | None:
        """The last state that belongs to a round before the work's, on its line; None if there is none.

        A round that is done again begins from where it began the first time. After a roll back it
        is the newest that is not after the round on which the run stands now: what was remembered
        since is of another past, and is not read.
        """
        for _, path in self._on_line(work):
            if (state := _read(path)) is not None:
                return state
        return None

    def went_back_to(self, work: Work) -> int | None:
        """The round of that state, if newer ones were left behind with a head or on another branch.

        Returns:
            0 if there is no state on the line, None if nothing was left behind.
        """
        found = self._on_line(work)
        if found and found[0][0].generation == work.generation and self._is_own(found[0][1], work):
            return None
        counted = {path for _, path in found}
        left = [
            path
            for segment in _line(work)
            for path in self._files(segment.run)
            if path not in counted and not self._is_own(path, work)
        ]
        if not left:
            return None
        return found[0][0].round if found else 0

    def put(self, work: Work, base_digest: bytes, state: State) -> None:
        """Keep the state after a piece of work; returns when it is on the disk.

        States of later rounds belong to a course that did not last and are deleted: this round is
        done again.

        Args:
            work: What was done.
            base_digest: Of the version that it began from.
            state: Named arrays.

        Raises:
            TaskError: An array is neither float32 nor int64.
            StorageFullError: The disk is full; nothing was left behind.
        """
        arrays = {name: np.asarray(array) for name, array in state.items()}
        for name, array in arrays.items():
            if array.dtype not in _ALLOWED:
                raise TaskError(
                    f"the client's state {name!r} has type {array.dtype}",
                    hint="keep float32 or int64",
                )
        folder = self._of_run(work.run)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        place = _Place(work.generation, work.round, work.attempt, base_digest.hex()[:16])
        path = folder / f"{place}.npz"
        self._forget_from(place, work, but=path)
        _write(path, arrays)
        self._prune(work)

    def _of_run(self, run: RunId) -> Path:
        return self._folder / hashlib.sha256(run.encode()).hexdigest()[:32]

    def _files(self, run: RunId) -> list[Path]:
        """States of a run, newest first."""
        return sorted(self._of_run(run).glob("*.npz"), key=_Place.of, reverse=True)

    def _on_line(self, work: Work, last: int | None = None) -> list[tuple[_Place, Path]]:
        """States of rounds that lead to the work, newest first; up to a round, or before the work's."""
        last = work.round - 1 if last is None else last
        found = [
            (place, path)
            for segment in _line(work)
            for path in self._files(segment.run)
            if (place := _Place.of(path)).generation == segment.generation
            and place.round in segment
            and place.round <= last
        ]
        return sorted(found, key=lambda pair: (pair[0].round, pair[0]), reverse=True)

    def _is_own(self, path: Path, work: Work) -> bool:
        """Whether a state is of the generation that goes on."""
        own = path.parent == self._of_run(work.run)
        return own and _Place.of(path).generation == work.generation

    def _forget_from(self, first: _Place, work: Work, but: Path) -> None:
        for path in self._files(work.run):
            place = _Place.of(path)
            later = (place.round, place.attempt) >= (first.round, first.attempt)
            if place.generation == first.generation and later and path != but:
                path.unlink(missing_ok=True)

    def _prune(self, work: Work) -> None:
        # What was left behind comes back when a roll back is undone.
        own = self._files(work.run)
        on_line = [path for _, path in self._on_line(work, work.round) if path in own]
        left = [path for path in own if path not in on_line]
        for path in (*on_line[self._keep :], *left[self._keep :]):
            path.unlink(missing_ok=True)
        runs = sorted(self._folder.iterdir(), key=lambda path: path.stat().st_mtime_ns)
        for folder in runs[:-KEEP_RUNS]:
            shutil.rmtree(folder)


def _line(work: Work) -> tuple[Segment, ...]:
    """What leads to the work; of a coordinator that does not say, its generation alone."""
    return work.line or (Segment(work.run, work.generation, 0, None),)


def _write(path: Path, arrays: State) -> None:
    partial = path.with_suffix(_PARTIAL)
    index = np.frombuffer(json.dumps(list(arrays)).encode(), np.uint8)
    try:
        with partial.open("wb") as file:
            np.savez(file, index, *arrays.values())
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        partial.unlink(missing_ok=True)
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise
        free = shutil.disk_usage(path.parent).free
        raise StorageFullError(str(path.parent), free) from error


def _read(path: Path) -> State | None:
    """Read what `_write` wrote; None if the file is something else."""
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            names = json.loads(file["arr_0"].tobytes())
            return dict(zip(names, _arrays(file, len(names)), strict=True))
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        return None


def _arrays(file: Mapping[str, np.ndarray], count: int) -> Iterator[np.ndarray]:
    return (file[f"arr_{number}"] for number in range(1, count + 1))
