"""The assignments of one piece of work: who was asked for what, and what became of it.

Pure: no socket, no clock, no thread. An update counts only if it names its assignment, base and
size exactly; a row is settled once, whatever comes later.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from flnb.core.ids import ClientId
from flnb.core.messages import MetricSum, Outcome, Work
from flnb.tensors import Layout, Model, Update
from flnb.transport.manifest import CHUNK_BYTES, HASH_BYTES
from flnb.transport.v1 import federation_pb2 as pb

MAX_EXAMPLES = 2**40
"""More examples than any client has; a weight of this size still fits into an exact sum."""

_METRICS, _METRIC_NAME = 100, 100
_MOST = 1e100
"""No measurement is larger; those of all clients, weighted and added up, are still numbers."""


class Key(NamedTuple):
    """One assignment; what an update must name to count."""

    run: str
    generation: int
    round: int
    attempt: int
    stage: str
    client: str

    @classmethod
    def of(cls, message: pb.AssignmentId) -> Key:
        """Read the message."""
        return cls(*(getattr(message, name) for name in cls._fields))

    def message(self) -> pb.AssignmentId:
        """Make the message."""
        return pb.AssignmentId(**self._asdict())

    def __str__(self) -> str:
        return f"round {self.round} of {self.run} (attempt {self.attempt}, {self.stage})"


@dataclass(frozen=True, slots=True)
class Facts:
    """What a client says about its update."""

    n_examples: int
    train_s: float
    loss: float
    metrics: Mapping[str, MetricSum] = field(default_factory=dict)
    went_back_to: int | None = None
    """After a roll back: the round of the client's own state from which it went on; 0 is none."""

    @classmethod
    def of(cls, envelope: pb.Envelope) -> Facts:
        """Read them from an envelope."""
        metrics = {one.name: MetricSum(one.total, one.count) for one in envelope.metrics}
        back = envelope.went_back_to if envelope.HasField("went_back_to") else None
        return cls(envelope.n_examples, envelope.train_s, envelope.loss, metrics, back)


@dataclass(frozen=True, slots=True, eq=False)
class Received:
    """An update that is complete, and where to read it."""

    facts: Facts
    digest: bytes
    """BLAKE3 over the hashes of its chunks."""
    open: Callable[[], Update]


@dataclass(slots=True)
class Row:
    """What is known of one client's assignment."""

    key: Key
    outcome: Outcome = Outcome.PENDING
    heard_s: float = 0.0
    """When the client was heard last; seconds that counted since the work was opened."""
    settled_s: float = math.nan
    reason: str = ""
    received: Received | None = None
    reported: bool = False
    folded: bool = False
    """Whether nobody reads its update any more."""


class OpenWork:
    """One stage of one cohort of remote clients.

    Args:
        work: Who does what.
        base: The version that they start from.
        base_digest: BLAKE3 over the hashes of its chunks.
    """

    def __init__(self, work: Work, base: Model, base_digest: bytes) -> None:
        self.work, self.base, self.base_digest = work, base, base_digest
        same = (work.run, work.generation, work.round, work.attempt, work.stage)
        self.rows = [Row(Key(*same, client)) for client in work.clients]
        self._places = {client: place for place, client in enumerate(work.clients)}
        self.given_up = False
        """Whether nobody collects its answers any more."""
        self._arrived: list[int] = []
        """Settled rows that were not reported yet, in order of arrival."""

    @property
    def layout(self) -> Layout:
        """Of the base, and so of every update."""
        return self.base.layout

    @property
    def pending(self) -> list[int]:
        """Rows without an answer."""
        return [place for place, row in enumerate(self.rows) if row.outcome is Outcome.PENDING]

    @property
    def reported(self) -> bool:
        """Whether every row was reported."""
        return all(row.reported for row in self.rows)

    def place(self, key: Key) -> int | None:
        """The row of an assignment; None if it is not of this work."""
        place = self._places.get(ClientId(key.client))
        return place if place is not None and self.rows[place].key == key else None

    def of(self, client: ClientId) -> Row | None:
        """What is known of a client, if it takes part."""
        place = self._places.get(client)
        return None if place is None else self.rows[place]

    def objection(self, envelope: pb.Envelope, client: str) -> str:
        """Say why an update cannot count; empty when nothing speaks against it.

        Args:
            envelope: What is said about the update.
            client: Who signed it.
        """
        key = Key.of(envelope.assignment)
        if key.client != client:
            return f"it is signed by {client} and names {key.client}"
        if self.place(key) is None:
            return f"{key} was not assigned to {client}"
        if envelope.base_digest != self.base_digest:
            return f"it starts from another version ({envelope.base_digest.hex()[:12]})"
        expected = payload_bytes(self.layout)
        if envelope.update.n_bytes != expected:
            return f"it has {envelope.update.n_bytes:,} bytes, the model has {expected:,}"
        if len(envelope.update.hashes) != HASH_BYTES * -(-expected // CHUNK_BYTES):
            return f"{len(envelope.update.hashes)} bytes of hashes do not fit {expected:,} bytes"
        if not 1 <= envelope.n_examples <= MAX_EXAMPLES:
            return f"it says that {envelope.n_examples:,} examples were trained on"
        return _objection_to_numbers(envelope)

    def precedes(self, key: Key) -> bool:
        """Whether an assignment is of a later round of this run: it will be handed out after this work."""
        now = self.work
        return (key.run, key.generation) == (now.run, now.generation) and key.round > now.round

    def wants(self, key: Key) -> bool:
        """Whether an update is waited for, or has counted."""
        if (place := self.place(key)) is None:
            return False
        row = self.rows[place]
        return row.outcome is Outcome.PENDING or row.received is not None

    def receive(self, key: Key, received: Received, now_s: float) -> bool:
        """An update is complete; False if it is of other work, or its row was settled before."""
        place = self.place(key)
        if place is None or not self._settle(place, Outcome.ACCEPTED, "", now_s):
            return False
        self.rows[place].received = received
        return True

    def settle(self, places: Iterable[int], outcome: Outcome, reason: str, now_s: float) -> None:
        """Give up pending rows: they failed, were lost or are late."""
        for place in places:
            self._settle(place, outcome, reason, now_s)

    def take(self, limit: int | None) -> list[int]:
        """Hand over the next rows for a report, in order of arrival.

        Args:
            limit: At most so many updates; what arrived after the last of them waits.
        """
        taken: list[int] = []
        updates = 0
        for place in self._arrived:
            update = self.rows[place].received is not None
            if update and limit is not None and updates == limit:
                break
            updates += update
            taken.append(place)
            self.rows[place].reported = True
        del self._arrived[: len(taken)]
        return taken

    def _settle(self, place: int, outcome: Outcome, reason: str, now_s: float) -> bool:
        row = self.rows[place]
        if row.outcome is not Outcome.PENDING:
            return False
        row.outcome, row.reason, row.settled_s = outcome, reason, now_s
        self._arrived.append(place)
        return True


def _objection_to_numbers(envelope: pb.Envelope) -> str:
    """Say what is wrong with what a client measured; empty when nothing is."""
    if len(envelope.metrics) > _METRICS:
        return f"it has {len(envelope.metrics):,} metrics, at most {_METRICS} are taken"
    if any(not 0 < len(metric.name) <= _METRIC_NAME for metric in envelope.metrics):
        return f"the name of a metric has not 1 to {_METRIC_NAME} characters"
    numbers = [one for metric in envelope.metrics for one in (metric.total, metric.count)]
    if not all(abs(one) <= _MOST for one in (envelope.train_s, *numbers)):
        return "one of its measurements is not finite, or out of all range"
    if envelope.went_back_to >= max(1, envelope.assignment.round):
        return f"it says that it went back to a state of round {envelope.went_back_to}"
    if abs(envelope.loss) > _MOST:  # not a number is what nobody measured
        return f"its loss is {envelope.loss:g}"
    return ""


def payload_bytes(layout: Layout) -> int:
    """Bytes of a version or an update on the wire: float32 values, then int64 integers."""
    return 4 * layout.n_values + 8 * layout.n_integers


def payload(arrays: Model | Update) -> memoryview:
    """See a version or an update as the bytes that travel; copied only if it has integers."""
    if not arrays.integers.size:
        return arrays.values.data.cast("B")
    parts = arrays.values.view(np.uint8), arrays.integers.view(np.uint8)
    return np.concatenate(parts).data


def read_update(layout: Layout, data: bytes | memoryview) -> Update:
    """Make an update of the bytes that travelled; `objection` has checked their number."""
    split = 4 * layout.n_values
    return Update(
        layout, np.frombuffer(data[:split], np.float32), np.frombuffer(data[split:], np.int64)
    )
