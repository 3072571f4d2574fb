"""Rounds done again and commits let go at a coordinator elsewhere: looked at here, done there."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import TYPE_CHECKING

from flnb.coordinator.control.plain_history import (
    expiry_from_json,
    key_to_message,
    replay_from_json,
)
from flnb.coordinator.control.wire import Wire
from flnb.coordinator.history.expiring import ExpiryPreview
from flnb.coordinator.history.replay import ReplayPreview
from flnb.core.ids import RunId
from flnb.store import Freed, Request
from flnb.transport.v1 import control_pb2 as pb

if TYPE_CHECKING:
    from flnb.coordinator.run import Run


class DistantReplay(ReplayPreview):
    """What a replay elsewhere would do.

    Args:
        wire: Asks the service.
        run: The branch.
        from_: The last round that stays as it is.
        exclude: Clients to leave out.
        train: Train the rounds again and do not use kept updates.
    """

    def __init__(
        self, wire: Wire, run: RunId, from_: int | str, exclude: Collection[str], *, train: bool
    ) -> None:
        self._wire = wire
        self._asked = pb.ReplayRequest(
            run=run, which=json.dumps(from_), exclude=sorted(exclude), train=train
        )
        told = replay_from_json(wire.whole("Replay", self._asked))
        span = (told.pop("base"), told.pop("until"))
        super().__init__(told.pop("name"), span, told.pop("exclude"), train=told.pop("train"))
        self.branch, self.rounds = told["branch"], told["rounds"]
        self.missing, self.empty, self.short = told["missing"], told["empty"], told["short"]
        self.taken_out = told["taken_out"]

    def _make(self, asked: Request) -> Run:
        from flnb.coordinator.control.distant import DistantRun  # it imports this module
        from flnb.coordinator.run import Run

        request = pb.MakeReplayRequest(
            asked=self._asked,
            base=key_to_message(self.base) if self.base else None,
            until=key_to_message(self.until),
            branch=self.branch,
            reason=asked.reason,
            id=asked.id,
        )
        return Run(DistantRun(self._wire, self._wire.held("MakeReplay", request)))


class DistantExpiry(ExpiryPreview):
    """Which commits would go elsewhere.

    Args:
        wire: Asks the service.
        run: A run, with all its branches; empty is every run of the lab.
        older_than: Only commits of rounds that closed so long ago.
        keep: What stays of those.
    """

    def __init__(self, wire: Wire, run: str, older_than: str, keep: str) -> None:
        request = pb.ExpiryRequest(run=run, older_than=older_than, keep=keep)
        told = expiry_from_json(wire.whole("Expiry", request))
        super().__init__(told["trunks"], told["before"])
        self._wire, self.kept, self.goes = wire, told["kept"], told["goes"]
        self.leaves, self.freed = told["leaves"], told["freed"]

    def _let_go(self, asked: Request) -> Freed:
        if not self.trunks:
            return Freed(0, 0)
        request = pb.ExpireRequest(
            run=self.trunks[0],
            goes=map(key_to_message, self.goes),
            before=self.before.isoformat(),
            reason=asked.reason,
            id=asked.id,
        )
        return Freed(*json.loads(self._wire.whole("Expire", request)))
