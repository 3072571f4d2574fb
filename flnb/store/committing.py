"""The process that commits: it sees versions where they lie and writes them, one at a time.

`writer.py` is the other end of its channel.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from flnb.core import SYSTEM_CLOCK, RunId, failpoints
from flnb.core.errors import StorageUnreachableError
from flnb.processes import Channel, SharedBlock
from flnb.store.answers import Answer, told
from flnb.store.history import History
from flnb.store.place import HistoryPlace

_FIRST_PAUSE_S = 0.25
_LONGEST_PAUSE_S = 10.0


class Span(NamedTuple):
    """Where an array lies."""

    group: str
    dtype: str
    block: int
    """Which block."""
    offset: int
    """In bytes."""
    n: int
    """How many values."""


@dataclass(frozen=True, slots=True)
class CommitRequest:
    """One version to commit, and where it lies."""

    place: HistoryPlace
    run: RunId
    meta: Mapping[str, Any]
    patience_s: float
    blocks: tuple[SharedBlock, ...]
    spans: tuple[Span, ...]


def serve(channel: Channel, _fds: Sequence[int]) -> None:
    """Commit what comes through the channel until it is closed; runs in the writer process."""
    import icechunk  # noqa: F401  # now, and not within the first commit
    import zarr  # noqa: F401  # likewise

    histories: dict[HistoryPlace, History] = {}
    while True:
        request, environment = channel.recv()
        _know(environment)
        history = histories.setdefault(request.place, History(request.place, checked=True))
        failpoints.reach("writer-before-commit")
        answer = _commit(history, request, channel.send)
        failpoints.reach("writer-after-commit")
        del request  # and with it what it sees of the coordinator's memory
        channel.send(answer)


def _commit(history: History, request: CommitRequest, say: Callable[[Answer], None]) -> Answer:
    """Write a version, as often as it takes until the server answers or patience ends."""
    groups = {
        span.group: request.blocks[span.block].array(span.dtype, offset=span.offset, count=span.n)
        for span in request.spans
    }
    ends_s = SYSTEM_CLOCK.monotonic_s() + request.patience_s
    pause_s = _FIRST_PAUSE_S
    while True:
        try:
            snapshot = history.write(request.run, groups, request.meta)
        except StorageUnreachableError as error:
            if SYSTEM_CLOCK.monotonic_s() + pause_s > ends_s:
                return told(error)
            say(("held up", error.message))
        except Exception as error:
            # Whatever it is, the coordinator must hear of it and pause the run.
            return told(error)
        else:
            return "done", snapshot, history.sums_digest
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)


def _know(environment: Mapping[str, str]) -> None:
    """Know of AWS what the coordinator knows, and nothing from before: a token that it dropped counts."""
    for name in aws_environment().keys() - environment.keys():
        del os.environ[name]
    os.environ |= environment


def aws_environment() -> dict[str, str]:
    """What this process knows of AWS: the server that forks may have begun before it did."""
    return {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
