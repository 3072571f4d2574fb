"""How the process that writes history says what went wrong, so that the coordinator can raise it.

Exceptions are not sent as they are: some hold what does not travel, and those of libraries would be
imported by whoever hears of them.
"""

from __future__ import annotations

from typing import Any

from flnb.core.errors import (
    AccessRefusedError,
    ClockBehindError,
    CommitConflictError,
    FLBaseError,
    NotFoundError,
    StorageFullError,
    StorageUnreachableError,
    StoreError,
)

Answer = tuple[Any, ...]
"""What became of a commit: a word for it, then what belongs to it."""


def told(error: Exception) -> Answer:
    """Put an error into plain values; `error_of` makes one of them again."""
    match error:
        case StorageFullError():
            return "full", error.where, error.free_bytes
        case StorageUnreachableError():
            return "unreachable", error.where, error.reason, error.hint
        case ClockBehindError():
            return "behind", error.before, error.here
        case CommitConflictError():
            return "conflict", error.branch
        case AccessRefusedError():
            return "refused", error.message, error.hint
        case NotFoundError():
            return "not found", error.kind, str(error.name)
        case _:
            return "failed", f"{type(error).__name__}: {error}"


def error_of(answer: Answer) -> FLBaseError:
    """Make an error of what `told` said of one."""
    match answer:
        case "full", where, free_bytes:
            return StorageFullError(where, free_bytes)
        case "unreachable", where, reason, hint:
            return StorageUnreachableError(where, reason, hint=hint)
        case "behind", before, here:
            return ClockBehindError(before, here)
        case "conflict", branch:
            return CommitConflictError(branch)
        case "refused", message, hint:
            return AccessRefusedError(message, hint=hint)
        case "not found", kind, name:
            return NotFoundError(kind, name)
        case _:
            return StoreError(f"the commit could not be written: {answer[1]}")
