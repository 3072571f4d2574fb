"""Rounds done again, old commits let go, and a look whether all is as it was written: through a service."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

from flnb.coordinator.acting import request
from flnb.coordinator.control.looks import Looks
from flnb.coordinator.control.plain_history import (
    expiry_to_json,
    key_from_message,
    replay_to_json,
    which_from_json,
)
from flnb.coordinator.history.expiring import freed_by, let_go
from flnb.coordinator.history.replay import StoredReplay
from flnb.core.errors import PlanError, RoundStateError
from flnb.transport import Claims
from flnb.transport.v1 import control_pb2 as pb

if TYPE_CHECKING:
    from flnb.coordinator.coordinator import Coordinator


class Afterwards:
    """Answers about what is done with closed rounds; all of them block.

    Args:
        coordinator: Whose runs they are.
        looks: Says how a run stands.
    """

    def __init__(self, coordinator: Coordinator, looks: Looks) -> None:
        self._coordinator, self._looks = coordinator, looks
        self.answers: Mapping[str, Any] = {
            "Replay": self._replay,
            "MakeReplay": self._make_replay,
            "Expiry": self._expiry,
            "Expire": self._expire,
            "Verify": self._verify,
        }

    def _replay(self, _: Claims, asked: pb.ReplayRequest) -> bytes:
        return replay_to_json(self._preview(asked, which_from_json(asked.which), None))

    def _make_replay(self, claims: Claims, asked: pb.MakeReplayRequest) -> pb.RunReply:
        base = key_from_message(asked.base) if asked.HasField("base") else None
        until = key_from_message(asked.until)
        found = self._preview(asked.asked, base.round if base else 0, until.round)
        if (found.base, found.until) != (base, until):
            raise RoundStateError(
                f"the head of {found.name} was moved since somebody looked", hint="look again"
            )
        found.branch, found.request_id = asked.branch, asked.id
        return self._looks.reply(claims, found.apply(asked.reason))

    def _preview(
        self, asked: pb.ReplayRequest, from_: int | str, until: int | None
    ) -> StoredReplay:
        lab = self._coordinator.lab
        record = lab.store.state.run(asked.run)
        return StoredReplay(lab, record, from_, asked.exclude, train=asked.train, until=until)

    def _expiry(self, _: Claims, asked: pb.ExpiryRequest) -> bytes:
        lab = self._coordinator.lab
        return expiry_to_json(
            lab.expire(asked.run or None, older_than=asked.older_than, keep=asked.keep)
        )

    def _expire(self, _: Claims, asked: pb.ExpireRequest) -> bytes:
        if not (asked.reason.strip() and asked.id):
            raise PlanError("letting commits go needs a reason, and a name of its own")
        store, who = self._coordinator.lab.store, request(asked.reason, asked.id)
        run, before = store.state.run(asked.run).id, _moment(asked.before)
        let_go(store, run, [key_from_message(key) for key in asked.goes], before, who)
        return json.dumps(freed_by(store, run, who)).encode()

    def _verify(self, _: Claims, asked: pb.VerifyRequest) -> bytes:
        return json.dumps(asdict(self._coordinator.lab.verify(asked.key))).encode()


def _moment(text: str) -> datetime:
    """Read a moment.

    Raises:
        PlanError: It is none, or has no zone.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise PlanError(f"a moment is written as in ISO 8601, with its zone; got {text[:50]!r}")
    return moment
