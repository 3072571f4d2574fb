"""What the state database holds, as frozen records: runs, closed rounds, operations, clients.

Columns of a closing (`metrics`, `assignments`, `updates`, `events`) are mappings from column name
to a sequence; which columns there are stands in `tables.py`. Read back, the sequences are NumPy
arrays, decoded when they are first looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from flnb.core import RunId, Status, glance
from flnb.store.lineage import RoundKey

Columns = Mapping[str, Any]
"""Column name to a sequence (list, NumPy or Arrow array); all of one length."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """A run: what it was started with and how it stands."""

    id: RunId
    name: str
    """Unique in its lab."""
    plan_yaml: str
    plan_hash: str
    task_name: str
    created_at: datetime
    updated_at: datetime
    task_ref: Any = None
    """JSON by which the task is loaded again; None when it was defined in a cell."""
    fingerprint: Any = None
    """JSON of the task's fingerprint; resume compares it."""
    layout: Any = None
    """JSON of the model's layout."""
    environment: Any = None
    """JSON: versions and machine on which the run was started."""
    simulation: Any = None
    """JSON: how its clients are simulated."""
    status: Status = Status.RUNNING
    branch: str = "main"
    generation: int = 1
    """Raised by each roll back, so that late updates can be told."""
    error: str | None = None
    """Why the run is paused or failed, with its hint."""
    waits: Any = None
    """JSON: how many clients a run waits for (`awaited`) and how many of them are `here`."""
    protected: bool = False
    """Whether its head may not be moved back."""
    guest: str | None = None
    """Which guest of the lab drives it, or drove it last; None if that was who holds the lab."""
    study: str | None = None
    """The study that it belongs to, if it was begun in a cell of one."""
    study_key: str | None = None
    """Key of that cell."""
    start: Any = None
    """JSON: the commit of the version before the first round and where it comes from; None when
    the plan's seed names it."""

    @property
    def trunk_name(self) -> str:
        """Name that all branches of a run share: what is before the `/` of a branch's own."""
        return self.name.partition("/")[0]

    @property
    def waits_for(self) -> str:
        """What a waiting run waits for, in words; empty of any other."""
        return glance.awaited(**self.waits) if self.waits else ""

    def kept_name(self, generation: int) -> str:
        """What the head of a generation is called that a roll back leaves behind.

        Names are those of the whole run, so that of another branch than the first says which.
        """
        branch = "" if self.branch == "main" else f"{self.branch}-"
        return f"before-rollback-{branch}{generation}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Closing:
    """One closed round: what the closing transaction writes, and nothing else ever does."""

    run: RunId
    branch: str = "main"
    generation: int = 1
    round: int
    attempt: int = 0
    closed_by: str
    """What closed it, such as `all answered`, `quorum` or `deadline`."""
    opened_at: datetime
    closed_at: datetime
    seconds_s: float = 0.0
    invited: int = 0
    accepted: int = 0
    refused: int = 0
    failed: int = 0
    lost: int = 0
    late: int = 0
    bytes_up: int = 0
    snapshot: str | None = None
    """Commit of the round in history; None when the round was not committed."""
    parameters_sha256: str | None = None
    """Hash of the committed model; stays when the commit goes."""
    sums: str | None = None
    """What tells the checksums of the commit's chunks, by which it is read; commits of before have none."""
    expired: Any = None
    """JSON: which commit the round had, who let it go, when and why; None if it never had to go."""
    metrics: Columns = field(default_factory=dict)
    assignments: Columns = field(default_factory=dict)
    updates: Columns = field(default_factory=dict)
    events: Columns = field(default_factory=dict)
    position: int = 0
    """Place in the lab's sequence of closings, given by the store; rises with every write."""

    @property
    def key(self) -> tuple[str, str, int, int]:
        """What identifies a closed round: run, branch, generation, round."""
        return self.run, self.branch, self.generation, self.round

    @property
    def round_key(self) -> RoundKey:
        """The same without the branch, which has a run identity of its own."""
        return RoundKey(self.run, self.generation, self.round)


@dataclass(frozen=True, slots=True)
class Forgotten:
    """That rounds of a run were taken back; it has a place among the closings of the lab."""

    position: int
    run: RunId
    branch: str
    generation: int
    after: int
    """The last round that stayed."""

    def covers(self, key: tuple[str, str, int, int], position: int) -> bool:
        """Whether a closing of this key and position was taken back."""
        *of_run, round_ = key
        return (
            of_run == [self.run, self.branch, self.generation]
            and round_ > self.after
            and position < self.position
        )


@dataclass(frozen=True, slots=True)
class Head:
    """How far a run has come."""

    round: int
    """The last closed round; 0 before the first."""
    closing: Closing | None
    """The last closing with a snapshot, from which a crashed run goes on."""

    @property
    def snapshot(self) -> str | None:
        """The last named commit."""
        return self.closing.snapshot if self.closing else None


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedAttempt:
    """A round that found too few usable updates and will be tried again."""

    run: RunId
    generation: int
    round: int
    attempt: int
    counts: Mapping[str, int]
    """Outcome to number of clients."""
    reasons: Mapping[int, str]
    """Row of the cohort to why its update was not used."""
    ended_at: datetime


@dataclass(frozen=True, slots=True)
class JournalRecord:
    """A step of the open round, written before its effect is relied on."""

    run: RunId
    round: int
    attempt: int
    kind: str
    """Such as `assigned` or `answered`."""
    payload: Mapping[str, Any] = field(default_factory=dict)
    """Anything that JSON can hold; NumPy arrays are read back as lists."""


@dataclass(frozen=True, slots=True)
class Operation:
    """A thing that somebody did to a run, kept for ever."""

    at: datetime
    actor: str
    verb: str
    run: RunId | None = None
    reason: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)
    """JSON: what exactly was done, such as from where to where a head was moved."""


@dataclass(frozen=True, slots=True)
class Named:
    """That a round has a name, from this moment on and until the name is given to another one."""

    name: str
    """Without the `@` that people put before it."""
    key: RoundKey
    kind: str
    """`alias` for a name that people move, `kept` for a head that was left behind."""
    actor: str
    reason: str
    at: datetime
    parameters_sha256: str | None = None
    """Of the model that an alias was given to; None of a head that was left, or by a flnb of before."""


@dataclass(frozen=True, slots=True)
class Command:
    """A wish of another process (`pause`, `resume`, `stop`, `rollback`), for the coordinator."""

    id: int
    run: RunId
    verb: str
    asked_at: datetime
    result: str | None = None
    """What became of it; None while it waits."""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    begun_at: datetime | None = None
    """Since when it is carried out; from then on nobody takes it back."""


@dataclass(frozen=True, slots=True)
class InviteRecord:
    """That whoever has a token may join under a name, once."""

    token_hash: str
    """Digest of the token; the token itself is written nowhere."""
    client: str
    """Name that it is for."""
    role: str
    created_at: datetime
    expires_at: datetime
    used_by: bytes | None = None
    """Public key that joined with it."""
    revoked_at: datetime | None = None


def key_name(public_key: bytes) -> str:
    """What people call a public key: its beginning, in hexadecimal."""
    return public_key.hex()[:12]


@dataclass(frozen=True, slots=True)
class ClientRecord:
    """A client that has joined: the key that speaks for its name, and when it was here."""

    name: str
    """Unique in its lab, for ever; what it did in rounds is kept under it."""
    public_key: bytes
    """Only who signs with it is this client."""
    role: str
    joined_at: datetime
    """When the invite was used that it joined with last."""
    revoked_at: datetime | None = None
    reason: str = ""
    """Why it was revoked."""
    last_seen_at: datetime | None = None
    n_examples: int = 0
    """How many examples it had when it was seen last."""
    about: Mapping[str, Any] = field(default_factory=dict)
    """JSON that it told of itself: version, task, machine."""
    rotated_at: datetime | None = None
    """When it changed its key by itself last; None if it did not since it joined."""

    @property
    def key_since(self) -> datetime:
        """Since when its key speaks for its name; what was given to it before is void."""
        return self.rotated_at or self.joined_at


@dataclass(frozen=True, slots=True)
class QuarantineRecord:
    """That a client is not drawn for rounds, whether it is here or not."""

    client: str
    at: datetime
    actor: str
    reason: str


@dataclass(frozen=True, slots=True)
class TokenRecord:
    """That a person was given an access token; without such a row a token is worth nothing."""

    id: str
    """The token's own identity; the token itself is written nowhere."""
    name: str
    """Whose it is; a person may have several."""
    role: str
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None = None
