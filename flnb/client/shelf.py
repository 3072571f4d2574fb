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
from flnb.core import Work
from flnb.core.errors import StorageFullError, TaskError

KEEP = 5
"""States of a run that are kept; older ones are deleted."""
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
        """The last state of the run that belongs to a round before the work's; None if there is none.

        A round that is done again begins from where it began the first time. What was remembered
        before a run was rolled back is of another past, and is not read.
        """
        for path in self._files(work):
            place = _Place.of(path)
            before = place.generation == work.generation and place.round < work.round
            if before and (state := _read(path)) is not None:
                return state
        return None

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
        folder = self._of_run(work)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        place = _Place(work.generation, work.round, work.attempt, base_digest.hex()[:16])
        path = folder / f"{place}.npz"
        self._forget_from(place, work, but=path)
        _write(path, arrays)
        self._prune(work)

    def _of_run(self, work: Work) -> Path:
        return self._folder / hashlib.sha256(work.run.encode()).hexdigest()[:32]

    def _files(self, work: Work) -> list[Path]:
        """States of a run, newest first."""
        return sorted(self._of_run(work).glob("*.npz"), key=_Place.of, reverse=True)

    def _forget_from(self, first: _Place, work: Work, but: Path) -> None:
        for path in self._files(work):
            place = _Place.of(path)
            later = (place.round, place.attempt) >= (first.round, first.attempt)
            if place.generation == first.generation and later and path != but:
                path.unlink(missing_ok=True)

    def _prune(self, work: Work) -> None:
        for path in self._files(work)[self._keep :]:
            path.unlink(missing_ok=True)
        runs = sorted(self._folder.iterdir(), key=lambda path: path.stat().st_mtime_ns)
        for folder in runs[:-KEEP_RUNS]:
            shutil.rmtree(folder)


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
