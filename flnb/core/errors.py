"""Every error that flnb raises on purpose.

One class per *reaction*, not per place. A class composes its own message (what, where, the
numbers), keeps the numbers as fields and says what to do in `hint`.

    FLBaseError
    ├── PlanError                 the plan cannot be read or cannot work: change the plan
    ├── TaskError                 the model, data or loss is wrong: change the task
    │   └── FingerprintError      not the task that the run was started with
    ├── RecipeError               a study asks what its recipe cannot do: change one of them
    ├── DataError                 a file or a split is missing or malformed: fix the data
    ├── RoundStateError           the command does not fit what the run is doing: look, then decide
    │   ├── HeadMovedError        somebody moved the head of the branch meanwhile: look again
    │   └── StudyHeldError        another process executes the study: wait, or look
    ├── GuardError                a guard of the plan held: the run pauses, look at the round
    ├── InsufficientClientsError  too few usable updates: the run pauses and can go on
    ├── IntegrityError            an update that must not be folded in: that client is refused
    ├── WorkerDiedError           a worker process died and its work could not be done again
    ├── AccessRefusedError        who asks may not do that: ask for another invite or role
    │   ├── TokenExpiredError     the token is too old: sign in again
    │   └── UnknownTokenError     the token is none of this lab, or was taken back: sign in again
    ├── UnreachableError          nobody answers at that address: look whether it runs
    │   └── TooManyCallsError     more calls than one may make: wait, then go on
    ├── NotFoundError             no run, round or column of that name: a nearest name is offered
    └── StoreError                the lab cannot be read or written
        ├── NameTakenError        something of that name is there: choose another one
        ├── AddressError          that cannot be the address of a lab or its database: mend it
        ├── DamagedError          what is stored is not what was committed: go on from before it
        ├── LabHeldError          another process holds the lab
        ├── LabLostError          another process took the lab over: look who has it
        ├── CommitConflictError   another process moved the branch: nothing was written
        ├── ClockBehindError      a commit would be older than the one before: nothing was written
        ├── LabVersionError       the lab was written by a newer flnb
        ├── StorageFullError      no space left: the run pauses, nothing is torn
        ├── StorageUnreachableError  database or bucket do not answer: the run pauses
        └── QueryRefusedError     SQL that is not one read-only SELECT, or went over its limits

`exit_code` is what the command line returns for the class (0 ok, 1 failed, 2 bad input,
3 refused, 4 unreachable), `http_status` what the service answers.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import ClassVar


class FLBaseError(Exception):
    """Root of every error that flnb raises on purpose.

    Args:
        message: What went wrong, where, with the numbers.
        hint: What to do next; shown after the message.
    """

    exit_code: ClassVar[int] = 1
    http_status: ClassVar[int] = 500

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        """Message, then the hint on its own line."""
        return f"{self.message}\n→ {self.hint}" if self.hint else self.message


class PlanError(FLBaseError):
    """The plan cannot be read or cannot work."""

    exit_code = 2
    http_status = 422


class TaskError(FLBaseError):
    """The model, the data or the loss of a task is wrong."""

    exit_code = 2
    http_status = 422


class FingerprintError(TaskError):
    """The task is not the one that the run was started with."""

    exit_code = 3
    http_status = 409

    def __init__(self, run: str, differs: Mapping[str, tuple[str, str]]) -> None:
        parts = "; ".join(f"{part}: was {was}, is {now}" for part, (was, now) in differs.items())
        super().__init__(
            f"run {run!r} was started with another task ({parts})",
            hint="resume with the task of the start, or start a new run with this one",
        )
        self.run, self.differs = run, dict(differs)


class RecipeError(FLBaseError):
    """A recipe cannot be read, or not be given what a study asks for; no kernel was started."""

    exit_code = 2
    http_status = 422

    def __init__(self, message: str, *, cell: str = "", name: str = "", hint: str = "") -> None:
        super().__init__(f"{cell}: {message}" if cell else message, hint=hint)
        self.cell, self.name = cell, name


class DataError(FLBaseError):
    """A data file or a split is missing or malformed."""

    exit_code = 2
    http_status = 422


class RoundStateError(FLBaseError):
    """A command that does not fit what the run is doing."""

    exit_code = 3
    http_status = 409


class HeadMovedError(RoundStateError):
    """The head of a branch is not where it was when somebody looked; nothing was done."""

    def __init__(self, branch: str, seen: tuple[int, int], now: tuple[int, int]) -> None:
        super().__init__(
            f"{branch} moved while you looked: it was at round {seen[1]} of generation {seen[0]}, "
            f"now it is at round {now[1]} of generation {now[0]}; nothing was done",
            hint="look at a fresh preview, then apply that one",
        )
        self.branch, self.seen, self.now = branch, seen, now
        self.preview: object = None
        """A fresh preview of what was asked for, where there is one."""


class StudyHeldError(RoundStateError):
    """Another process executes a study."""

    def __init__(self, study: str, holder: str, since: str) -> None:
        super().__init__(
            f"study {study!r} is executed by {holder} since {since}",
            hint="wait until it ends, or look: flnb study status, study.df()",
        )
        self.study, self.holder, self.since = study, holder, since


class GuardError(FLBaseError):
    """A guard of the plan held, and the run pauses."""

    http_status = 409

    def __init__(self, round_number: int, words: str, why: str) -> None:
        super().__init__(
            f"a guard held in round {round_number}: {words}; {why}",
            hint=f"run.round({round_number}).why() looks into the round, run.rollback(to=…) goes back, "
            "run.resume() goes on as it is, run.resume(guards=[…]) with other guards",
        )
        self.round_number, self.words, self.why = round_number, words, why


class InsufficientClientsError(FLBaseError):
    """Fewer usable updates than the plan needs; the run pauses and can be resumed."""

    http_status = 409

    def __init__(
        self,
        round_number: int,
        got: int,
        need: int,
        outcomes: Mapping[str, int],
        example: str = "",
    ) -> None:
        detail = ", ".join(f"{count} {name}" for name, count in outcomes.items() if count)
        super().__init__(
            f"round {round_number} needs {need} updates, {got} were usable"
            + (f" ({detail})" if detail else "")
            + (f"; {example}" if example else ""),
            hint=f"run.round({round_number}).why() tells of each client; run.resume() draws another "
            "cohort, and run.resume(need=…), invite=… or deadline_s=… changes the plan first",
        )
        self.round_number, self.got, self.need = round_number, got, need
        self.outcomes = dict(outcomes)


class IntegrityError(FLBaseError):
    """An update that must not be folded in: wrong shape, not finite, out of range."""

    exit_code = 3
    http_status = 422


class WorkerDiedError(FLBaseError):
    """A worker process died and its clients could not be done again."""


class AccessRefusedError(FLBaseError):
    """Who asks is not known, or may not do that."""

    exit_code = 3
    http_status = 403


class TokenExpiredError(AccessRefusedError):
    """A token or an invite is too old."""

    http_status = 401


class UnknownTokenError(AccessRefusedError):
    """A token is none of this lab, or was taken back."""

    http_status = 401


class UnreachableError(FLBaseError):
    """Nobody answers at an address."""

    exit_code = 4
    http_status = 503


class TooManyCallsError(UnreachableError):
    """Somebody calls more often than one may; what was asked was not done."""

    http_status = 429


class NotFoundError(FLBaseError):
    """Nothing of that name; the nearest known name is offered."""

    exit_code = 2
    http_status = 404

    def __init__(self, kind: str, name: object, known: Iterable[object] = ()) -> None:
        names = [str(item) for item in known]
        super().__init__(f"no {kind} {str(name)!r}", hint=did_you_mean(str(name), names))
        self.kind, self.name = kind, name


class StoreError(FLBaseError):
    """The lab cannot be read or written."""


class NameTakenError(StoreError):
    """Something of that name is there already, and stays."""

    exit_code = 2
    http_status = 409


class AddressError(StoreError):
    """A lab or its database is named by what cannot be an address."""

    exit_code = 2
    http_status = 422


class DamagedError(StoreError):
    """What is stored is not what was committed; it is named, and not used."""


class LabHeldError(StoreError):
    """Another process holds the lab."""

    exit_code = 3
    http_status = 409

    def __init__(self, lab: str, holder: str, since: str) -> None:
        super().__init__(
            f"lab {lab} is held by {holder} since {since}",
            hint="stop that coordinator, or look at the lab without one: "
            "flnb runs list, flnb sql and lab.sql() work while it runs",
        )
        self.lab, self.holder, self.since = lab, holder, since


class LabLostError(StoreError):
    """Another process took the lab over while this one stood still; nothing was written since."""

    exit_code = 3
    http_status = 503

    def __init__(self, lab: str, epoch: int, now: int, holder: str, *, guest: str = "") -> None:
        why = f"was taken over: {holder} has epoch {now}, this process had epoch {epoch}"
        if guest:
            why = f"has no guest {guest} any more: it stood still for too long, or the lab was taken over"
        super().__init__(
            f"lab {lab} {why} and has written nothing since",
            hint="its runs are resumed there; here the lab can still be read",
        )
        self.lab, self.epoch, self.now, self.holder = lab, epoch, now, holder


class CommitConflictError(StoreError):
    """Another process moved a branch while a commit on it was written; that commit is void."""

    exit_code = 3
    http_status = 409

    def __init__(self, branch: str) -> None:
        super().__init__(
            f"another process committed to branch {branch} meanwhile; nothing was written",
            hint="look who holds the lab; run.resume() goes on from the last round that closed",
        )
        self.branch = branch


class ClockBehindError(StoreError):
    """A commit would be older than the one it stands on: the clocks of two machines differ."""

    def __init__(self, before: datetime, here: datetime) -> None:
        super().__init__(
            f"the clock of this machine says {here:%Y-%m-%d %H:%M:%S} UTC, and the last commit was "
            f"written at {before:%Y-%m-%d %H:%M:%S} UTC by the clock of its machine",
            hint="set the clock that is wrong; if it was the other one, wait until that time has "
            "come here; then run.resume()",
        )
        self.before, self.here = before, here


class LabVersionError(StoreError):
    """The lab was written by a newer flnb."""

    exit_code = 3
    http_status = 409

    def __init__(self, lab: str, found: int, supported: int) -> None:
        super().__init__(
            f"lab {lab} has format {found}, this flnb reads up to {supported}",
            hint="upgrade flnb; the lab was left as it is",
        )
        self.lab, self.found, self.supported = lab, found, supported


class StorageFullError(StoreError):
    """No space is left where the lab lies; the run pauses and nothing is torn."""

    http_status = 507

    def __init__(self, where: str, free_bytes: int) -> None:
        super().__init__(
            f"no space left at {where} ({free_bytes / 1e6:.1f} MB free)",
            hint="free some space, then run.resume()",
        )
        self.where, self.free_bytes = where, free_bytes


class StorageUnreachableError(StoreError):
    """A database or a bucket does not answer; the run pauses and nothing is torn."""

    exit_code = 4
    http_status = 503

    def __init__(self, where: str, reason: str, *, hint: str = "") -> None:
        super().__init__(
            f"{where} does not answer: {reason}",
            hint=hint or "look whether it runs and can be reached from here, then run.resume()",
        )
        self.where, self.reason = where, reason


class QueryRefusedError(StoreError):
    """SQL that is not one read-only SELECT, or that went over its limits."""

    exit_code = 3
    http_status = 422


_MOST_NAMES = 12
"""Names that are listed where none is near."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Offer the nearest known name, or list what there is.

    Examples:
        >>> did_you_mean("ruonds", ["rounds", "invite"])
        "did you mean 'rounds'?"
        >>> did_you_mean("x", ["rounds", "invite"])
        'there is: invite, rounds'
    """
    names = [str(one) for one in known]  # a word of an enumeration is shown as the word
    if near := difflib.get_close_matches(name, names, n=1):
        return f"did you mean {near[0]!r}?"
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return f"there is: {', '.join(sorted(names)[:_MOST_NAMES])}{more}" if names else ""
