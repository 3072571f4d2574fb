"""Commits that are let go: which nobody may take, and the rows that say who took the others.

The rows stay: a round whose commit is gone is one that would be run again from the commit before.
Bytes follow later, in `retention.py`; what that frees is whatever no row names.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, func, or_, select

from flnb.core import Clock, RunId, glance
from flnb.core.errors import NotFoundError, RoundStateError
from flnb.store import closing_rows, log, schema
from flnb.store.database import Database
from flnb.store.generations import Request
from flnb.store.lineage import RoundKey
from flnb.store.lines import commit_at, line, record_of
from flnb.store.name_rows import names_of
from flnb.store.records import Operation, RunRecord

_runs, _closings, _generations = schema.runs, schema.closings, schema.generations
EXPIRED, DAMAGED, FREED = "expire", "damaged", "freed"
"""Verbs of the operations log."""
_MEANINGS = 2
"""Newest meanings of a name that stay: the present one, and the one that `revert_alias` gives back."""


@dataclass(frozen=True, slots=True)
class Reached:
    """Committed rounds of a run that stay, and what for."""

    reasons: dict[RoundKey, str]

    def __contains__(self, key: object) -> bool:
        """Whether a round stays."""
        return key in self.reasons


class Expiry:
    """The part of the state that lets commits go."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock

    def reached(self, trunk: str) -> Reached:
        """Rounds of all branches of a run whose commits stay whatever their age.

        Those are the last commits of the branches, whole lines of protected branches, what a branch
        or a roll back stands on, and what names mean, with what an alias meant before.

        Raises:
            NotFoundError: There is no such run.
        """
        with self._database.reading() as connection:
            return _reached(connection, trunk)

    def expire(self, keys: Sequence[RoundKey], request: Request) -> int:
        """Take the commits from rounds; doing it twice does nothing more. Bytes are freed later.

        Returns:
            How many rounds had one.

        Raises:
            RoundStateError: One of them stays: it was named, or is stood on, since somebody looked.
        """
        with self._database.writing() as connection:
            trunks = {key.run: record_of(connection, key.run).trunk_name for key in keys}
            for trunk in set(trunks.values()):
                _check_free(connection, trunk, [key for key in keys if trunks[key.run] == trunk])
            taken = [key for key in keys if self._let_go(connection, key, request, EXPIRED)]
            for trunk in sorted({trunks[key.run] for key in taken}):
                mine = [key for key in taken if trunks[key.run] == trunk]
                details = {"commits": len(mine), "rounds": spans(mine), "request": request.id}
                self._log(connection, EXPIRED, mine[0].run, request, details)
            return len(taken)

    def drop_damaged(self, key: RoundKey, request: Request) -> None:
        """Take a damaged commit from a round, whoever reaches it: it cannot be read any more."""
        with self._database.writing(of=key.run) as connection:
            if self._let_go(connection, key, request, DAMAGED):
                self._log(connection, DAMAGED, key.run, request, {"key": list(key)})

    def note_freed(self, run: RunId, request: Request, objects: int, size_bytes: int) -> None:
        """Write down what letting commits go has freed."""
        details = {"objects": objects, "bytes": size_bytes, "request": request.id}
        with self._database.writing() as connection:
            self._log(connection, FREED, run, request, details)

    def named_snapshots(self) -> set[str]:
        """Every commit that a row of the lab names: of rounds, and of versions before the first."""
        rounds = select(_closings.c.snapshot).where(_closings.c.snapshot.is_not(None))
        starts = select(_runs.c.start).where(_runs.c.start.is_not(None))
        with self._database.reading() as connection:
            found = set(connection.scalars(rounds))
            return found | {start["snapshot"] for start in connection.scalars(starts)}

    def expired(self, runs: Sequence[RunId]) -> dict[RoundKey, str]:
        """Rounds of some branches whose commit is gone, with who let it go and when."""
        table = _closings.c
        query = select(table.run, table.generation, table.round, table.expired)
        query = query.where(
            table.run.in_(runs), table.expired.is_not(None), table.snapshot.is_(None)
        )
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
        return {RoundKey(*row[:3]): in_words(row.expired) for row in rows}

    def _let_go(self, connection: Connection, key: RoundKey, request: Request, why: str) -> bool:
        note = {
            "why": why,
            "actor": request.actor,
            "reason": request.reason,
            "at": self._clock.now().isoformat(timespec="seconds"),
        }
        return closing_rows.expire(connection, key, note) is not None

    def _log(
        self,
        connection: Connection,
        verb: str,
        run: RunId,
        request: Request,
        details: dict[str, Any],
    ) -> None:
        operation = Operation(self._clock.now(), request.actor, verb, run, request.reason)
        log.append(connection, replace(operation, details=details))


def in_words(note: dict[str, Any]) -> str:
    """Who let a commit go, and when."""
    what = "was damaged; given up" if note["why"] == DAMAGED else "expired"
    why = f": {note['reason']}" if note["reason"] else ""
    return f"{what} by {note['actor']} at {note['at'][:16].replace('T', ' ')}{why}"


def spans(keys: Iterable[RoundKey]) -> dict[str, str]:
    """Rounds in few words, for each generation of each branch: `{"a1 1": "1–9 11–19"}`."""
    return {
        f"{run} {generation}": in_spans([key.round for key in mine])
        for (run, generation), mine in groupby(sorted(keys), key=lambda key: key[:2])
    }


def in_spans(numbers: Iterable[int]) -> str:
    """Numbers in few words.

    Examples:
        >>> in_spans([1, 2, 3, 7])
        '1–3 7'
    """
    return glance.spans(numbers, " ")


def _check_free(connection: Connection, trunk: str, keys: Sequence[RoundKey]) -> None:
    reached = _reached(connection, trunk)
    if kept := sorted(key for key in keys if key in reached):
        raise RoundStateError(
            f"round {kept[0].round} of {trunk} stays: it is {reached.reasons[kept[0]]}"
            + (f", and {len(kept) - 1} more stay" if kept[1:] else ""),
            hint="look at a fresh preview, then apply that one",
        )


def _reached(connection: Connection, trunk: str) -> Reached:
    found = dict[RoundKey, str]()
    records = _branches(connection, trunk)
    for record in records:
        present = line(connection, record.id)
        if record.protected:
            for closing in closing_rows.of_line(connection, present):
                found.setdefault(closing.round_key, f"on the protected branch {record.name}")
        if (head := closing_rows.head(connection, present).closing) is not None:
            found[head.round_key] = f"the last commit of {record.name}"
    names = dict[str, list[RoundKey]]()
    for one in names_of(connection, trunk):
        names.setdefault(one.name, []).append(one.key)
    for name, keys in names.items():
        for key in keys[-_MEANINGS:]:
            if (commit := commit_at(connection, key)) is not None:
                found.setdefault(commit, f"named {name}")
    mine = {record.id for record in records}
    bases = select(_generations).where(_generations.c.base_run.in_(mine))
    for row in connection.execute(bases):
        key = RoundKey(row.base_run, row.base_generation, row.base_round)
        found.setdefault(key, f"what generation {row.generation} of a branch stands on")
    return Reached(found)


def _branches(connection: Connection, trunk: str) -> list[RunRecord]:
    # Not LIKE: to SQLite's, Otter/x begins with otter/.
    below = func.substr(_runs.c.name, 1, len(trunk) + 1) == f"{trunk}/"
    query = select(_runs.c.id).where(or_(_runs.c.name == trunk, below)).order_by(_runs.c.name)
    found = [record_of(connection, run) for run in connection.scalars(query)]
    if not found:
        raise NotFoundError("run", trunk, connection.scalars(select(_runs.c.name)).all())
    return found
