"""What a service asks for its own sake: who may still listen, and how the coordinator does."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections import Counter, deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from flnb.core.clock import SYSTEM_CLOCK
from flnb.store import Closing, Cursor
from flnb.transport import Claims
from flnb.transport.v1 import control_pb2 as pb

if TYPE_CHECKING:
    from flnb.coordinator.coordinator import Coordinator

_TICK_S, _TICKS = 0.25, 60
"""How often the loop is asked whether it is late, and of how many times the worst is told."""
_MOST_REASONS = 20
_EXCEPTION = re.compile(r"^([A-Za-z_][\w.]{0,60}(?:Error|Exception))\b")
_PROSE = re.compile(r"[a-z][a-z -]{3,39}")


class Upkeep:
    """Answers to a service; what it counts, it counts since the coordinator listens.

    Args:
        coordinator: Who is looked at.
        waiting: Says how much waits, by the name of the queue.
    """

    def __init__(self, coordinator: Coordinator, waiting: Callable[[], Mapping[str, int]]) -> None:
        self._coordinator, self._waiting = coordinator, waiting
        self.answers: Mapping[str, Any] = {"Known": self._known, "Vitals": self._vitals}
        self._lags_s: deque[float] = deque(maxlen=_TICKS)
        self._ticking = asyncio.create_task(self._tick(), name="flnb-lag")
        self._lock = threading.Lock()
        self._cursor: Cursor = coordinator.lab.store.state.newest()
        self._counted_to: dict[tuple[str, int], int] = {}
        self._reasons: Counter[tuple[str, str]] = Counter()

    def close(self) -> None:
        """Look no more."""
        self._ticking.cancel()

    async def _tick(self) -> None:
        while True:
            asked_s = SYSTEM_CLOCK.monotonic_s()
            await asyncio.sleep(_TICK_S)
            self._lags_s.append(max(0.0, SYSTEM_CLOCK.monotonic_s() - asked_s - _TICK_S))

    def _known(self, _claims: Claims, request: pb.KnownRequest) -> pb.KnownReply:
        # Whoever can name an identity has the token, or had it.
        state, now = self._coordinator.lab.store.state, SYSTEM_CLOCK.now()
        good = {one.id for one in state.tokens() if one.revoked_at is None and one.expires_at > now}
        return pb.KnownReply(gone=[one for one in request.tokens if one not in good])

    def _vitals(self, _claims: Claims, _: pb.VitalsRequest) -> pb.VitalsReply:
        coordinator = self._coordinator
        pictures = filter(None, map(coordinator.picture, coordinator.driven))
        runs = [
            {
                "name": view.name,
                "status": view.status,
                "round": view.round,
                "rounds": view.rounds,
                "invited": view.invited,
                "answered": view.accepted + view.refused + view.lost,
                "bytes_up": view.bytes_up,
            }
            for view in (picture.view for picture in pictures)
        ]
        told = {
            "runs": runs,
            "clients": Counter(row.state for row in coordinator.clients),
            "unused": [[*why, count] for why, count in self._counted().items()],
            "waiting": self._waiting(),
            "loop_lag_s": max(self._lags_s, default=0.0),
            "closing_s": coordinator.lab.store.closing_s.to_json(),
        }
        return pb.VitalsReply(vitals=json.dumps(told))

    def _counted(self) -> Mapping[tuple[str, str], int]:
        """Updates that were not used, by what became of them and why; of closed rounds."""
        state = self._coordinator.lab.store.state
        with self._lock:
            while found := state.happened(self._cursor):
                self._cursor = found[-1].cursor
                for closing in (one.what for one in found):
                    if isinstance(closing, Closing) and self._is_new(closing):
                        self._count(state.closing_of(closing.round_key))
            return dict(self._reasons)

    def _is_new(self, closing: Closing) -> bool:
        """Whether it has something to count; one that got its commit later comes twice."""
        line = closing.run, closing.generation
        newer = closing.round > self._counted_to.get(line, 0)
        self._counted_to[line] = max(closing.round, self._counted_to.get(line, 0))
        return newer and closing.refused + closing.failed > 0

    def _count(self, closing: Closing | None) -> None:
        if closing is None:
            return
        rows = closing.assignments
        for outcome, reason in zip(rows["outcome"], rows["reason"], strict=True):
            if outcome in {"refused", "failed"}:
                why = outcome, kind_of(str(reason or ""))
                full = why not in self._reasons and len(self._reasons) >= _MOST_REASONS
                self._reasons[(outcome, "other") if full else why] += 1


def kind_of(reason: str) -> str:
    r"""What kind of reason it is: without numbers, and without words of a client's.

    Examples:
        >>> kind_of("not finite: 3 of 650 values"), kind_of("Traceback …\nValueError: my secret")
        ('not finite', 'ValueError')
        >>> kind_of("")
        'other'
    """
    last = reason.strip().rpartition("\n")[2]
    if found := _EXCEPTION.match(last):
        return found[1].rpartition(".")[2]
    prose = _PROSE.match(last)
    return prose[0].strip(" -") if prose else "other"
