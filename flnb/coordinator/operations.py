"""The operations log as people read it: who did what to which branch, when and why."""

from __future__ import annotations

from typing import Protocol

from flnb.store import Table

_MOST_ROWS, _LOG_S = 10_000_000, 60.0


class Answers(Protocol):
    """Asks the tables of a lab, here or through a connection."""

    def __call__(self, query: str, *, rows: int, timeout_s: float) -> Table:
        """Answer one SELECT."""
        ...


def operations(ask: Answers, run: str = "") -> Table:
    """Read the log, oldest first; a look at it shows the newest.

    Args:
        ask: Whoever has the tables.
        run: Only what was done to this branch, by its name; all by default.
    """
    trunk, _, branch = run.partition("/")
    # Names of runs and branches are checked when they are made: no sign of them ends a string.
    where = f"WHERE run = '{trunk}' AND branch = '{branch or 'main'}' " if run else ""
    query = f"SELECT * FROM operations {where}ORDER BY position"  # noqa: S608  # as just said
    return ask(query, rows=_MOST_ROWS, timeout_s=_LOG_S).ending()
