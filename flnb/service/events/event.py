"""One event as it goes to listeners: written once, sent to all."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from flnb.core.view import Status
from flnb.store import Cursor
from flnb.transport.v1 import control_pb2 as pb

OPERATION = "operation"
DURABLE = frozenset(["round_complete", "rounds_taken_back", OPERATION])
ALWAYS = frozenset(["snapshot", "heartbeat", "coordinator_gone", "coordinator_back"])
"""Whatever a listener asked for, it hears these."""


TYPES = ALWAYS | DURABLE | {"round_started", "round_update", "run_changed"}
TYPES |= {"client_joined", "client_update"}
"""What can be listened for."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened, or how something stands."""

    kind: str
    run: str
    data: str
    """JSON."""
    cursor: Cursor
    """Where the role's sequence stood when it was heard."""
    text: str
    """What is sent."""

    @classmethod
    def of(cls, kind: str, run: str, data: str, cursor: Cursor) -> Event:
        """Write an event.

        Only what moves the cursor carries it, and a heartbeat: what tells how things stand may be told
        again later, and must not put anybody back.
        """
        moves = kind in DURABLE or kind in {"snapshot", "heartbeat"}
        head = {"type": kind} | ({"cursor": cursor.text} if moves else {}) | {"run": run}
        # The data is JSON already; reading and writing it again would cost as much as all the rest.
        text = f'{json.dumps(head, ensure_ascii=False)[:-1]}, "data": {data}}}'
        return cls(kind, run, data, cursor, text)

    @classmethod
    def heard(cls, note: pb.EventNote) -> Event:
        """Write what the coordinator told."""
        return cls.of(note.type, note.run, note.data, Cursor.parse(note.cursor))

    @property
    def durable(self) -> bool:
        """Whether it has a place in the sequence."""
        return self.kind in DURABLE

    def is_after(self, cursor: Cursor) -> bool:
        """Whether somebody who stands there has not heard it."""
        mine, theirs = self.cursor, cursor
        if self.kind == OPERATION:
            return mine.operation > theirs.operation
        return mine.closing > theirs.closing

    def seen_from(self, cursor: Cursor) -> Event:
        """The same for somebody who may have heard more of the other kind: puts nobody back."""
        if self.cursor.covers(cursor):
            return self
        return self.of(self.kind, self.run, self.data, self.cursor.joined(cursor))

    def changed(self, **told: Any) -> Event:
        """The same with other data."""
        data = json.dumps(json.loads(self.data) | told)
        return self.of(self.kind, self.run, data, self.cursor)

    def ends(self, open_round: Event) -> bool:
        """Whether this says that an open round of the same run, told of before, is open no more."""
        if self.kind == "run_changed":
            return Status(json.loads(self.data)["status"]).over
        if self.kind == "rounds_taken_back":
            return True
        mine, theirs = json.loads(self.data), json.loads(open_round.data)
        place = "generation", "round"
        return self.kind == "round_complete" and [mine[name] for name in place] >= [
            theirs[name] for name in place
        ]

    @property
    def subject(self) -> tuple[str, str] | None:
        """Of which only the newest needs to be known; None of what is told in full."""
        if self.kind in {"round_started", "round_update"}:
            return "round", self.run
        if self.kind == "run_changed":
            return self.kind, self.run
        if self.kind in {"client_joined", "client_update"}:
            return "client", str(json.loads(self.data)["client"])
        return None
