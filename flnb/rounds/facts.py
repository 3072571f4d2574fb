"""What the machine is told, and what it asks for.

A fact says what happened; an order says what the coordinator must do. Both are plain values and
speak of clients by *wave* and *row*, in columns: one `Answered` may be one remote client or a
simulated cohort of a thousand.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Int64, UInt8

from flnb.core.ids import ClientId

Rows = Int64[np.ndarray, " n"]


@dataclass(frozen=True, slots=True)
class Drawn:
    """The sampler named the clients that the last `Draw` asked for; without one it says nothing."""

    clients: tuple[ClientId, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Answered:
    """Some assignments are settled, in order of arrival, each with an outcome but PENDING."""

    wave: int
    stage: int
    rows: Rows
    outcomes: UInt8[np.ndarray, " n"]
    """`Outcome` of each row; ACCEPTED means that the payload passed every check."""
    generation: int


@dataclass(frozen=True, slots=True)
class TimePassed:
    """So many seconds have counted since the open stage was assigned."""

    elapsed_s: float
    stage: int | None = None
    """Whose clock this is; None is the stage that is open when the fact is taken in. A protocol of
    several stages names it, or the last answer and the clock in one batch end two stages."""


@dataclass(frozen=True, slots=True)
class Closed:
    """The new version exists; it will be committed in its turn."""

    version: int


@dataclass(frozen=True, slots=True)
class PauseAsked:
    """Finish the open round, then rest."""


@dataclass(frozen=True, slots=True)
class ResumeAsked:
    """Go on."""


@dataclass(frozen=True, slots=True)
class StopAsked:
    """End the run; an open round is given up."""


@dataclass(frozen=True, slots=True)
class Moved:
    """The head was moved to another version; whatever is under way belongs to the past."""

    generation: int
    version: int


Fact = Drawn | Answered | TimePassed | Closed | PauseAsked | ResumeAsked | StopAsked | Moved


@dataclass(frozen=True, slots=True)
class Draw:
    """Name a cohort for a wave."""

    round: int
    attempt: int
    wave: int
    n: int | None = None
    """How many, when the protocol says so; None leaves it to the plan's sampling."""


@dataclass(frozen=True, slots=True, eq=False)
class Assign:
    """Hand a stage to some rows of a wave."""

    wave: int
    stage: int
    rows: Rows


@dataclass(frozen=True, slots=True, eq=False)
class Accept:
    """These payloads count for the version that the next `Close` makes."""

    wave: int
    rows: Rows
    """Ascending, whatever the order of arrival."""
    base: int
    """Version they started from."""


@dataclass(frozen=True, slots=True, eq=False)
class Refuse:
    """These answers must not be used."""

    wave: int
    rows: Rows
    reason: str


@dataclass(frozen=True, slots=True)
class Close:
    """Make a version from what was accepted since the last one."""

    round: int
    reason: str
    """`all answered`, `quorum`, `deadline` or `buffer full`."""


@dataclass(frozen=True, slots=True)
class Fail:
    """The attempt ended with too few usable updates; nothing of it is used."""

    round: int
    attempt: int
    stage: str
    got: int
    need: int
    outcomes: dict[str, int] = field(hash=False)


@dataclass(frozen=True, slots=True)
class Pause:
    """Save and rest until somebody resumes."""

    reason: str


@dataclass(frozen=True, slots=True)
class Finish:
    """Save; nothing more will happen."""

    reason: str
    """`done` or `stopped`."""


Order = Draw | Assign | Accept | Refuse | Close | Fail | Pause | Finish
