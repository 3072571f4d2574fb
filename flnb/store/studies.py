"""What studies asked for, what became of their cells, and who executes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, func, select, update

from flnb.core import Clock
from flnb.core.errors import NotFoundError, StudyHeldError
from flnb.store.database import Database, upsert
from flnb.store.lease import Holder
from flnb.store.study_records import KEPT, Claim, Outcome, StudyCell, StudyRecord
from flnb.store.study_tables import study as _studies
from flnb.store.study_tables import study_cell as _cells

_TAKEN_OVER = ("run", "seconds_s", "notebook", "page", "log", "began_at", "ended_at")


class Studies:
    """The part of the state that knows studies. Any process may write it, whoever holds the lab."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock

    def put_study(self, record: StudyRecord) -> None:
        """Write what a study asks for from now on; when it was made, and its cells, stay."""
        row = asdict(record) | {"code": list(record.code)}
        change = {name: row[name] for name in ("notebook", "asked_for", "code", "updated_at")}
        with self._database.writing(fenced=False) as connection:
            fresh = upsert(connection, _studies).values(**row)
            connection.execute(fresh.on_conflict_do_update(index_elements=["name"], set_=change))

    def studies(self) -> list[StudyRecord]:
        """Every study, the one that was asked for last first."""
        query = select(_studies).order_by(_studies.c.updated_at.desc(), _studies.c.name)
        with self._database.reading() as connection:
            return [_study(row) for row in connection.execute(query)]

    def study(self, name: str) -> StudyRecord:
        """Find a study.

        Raises:
            NotFoundError: There is none; the nearest name is offered.
        """
        with self._database.reading() as connection:
            row = connection.execute(select(_studies).where(_studies.c.name == name)).first()
            if row is None:
                raise NotFoundError("study", name, connection.scalars(select(_studies.c.name)))
        return _study(row)

    def ask_for_cells(self, study: str, cells: Sequence[StudyCell], *, only: bool = True) -> None:
        """Write which cells a study asks for; of those that it knows only their places change.

        The study is another one from then on: whoever looks at its row sees that places moved.

        Args:
            study: Which.
            cells: What it asks for.
            only: Whether it asks for no other ones any more; what became of those stays.
        """
        touched = {"updated_at": self._clock.now()}
        with self._database.writing(fenced=False) as connection:
            connection.execute(update(_studies).where(_studies.c.name == study).values(**touched))
            if only:
                connection.execute(
                    update(_cells).where(_cells.c.study == study).values(asked=False)
                )
            for cell in cells:
                change = {"position": cell.position, "asked": True}
                fresh = upsert(connection, _cells).values(**asdict(cell))
                keys = ["study", "key"]
                connection.execute(fresh.on_conflict_do_update(index_elements=keys, set_=change))

    def study_cells(self, study: str) -> list[StudyCell]:
        """Every cell that a study ever asked for, in their order."""
        query = select(_cells).where(_cells.c.study == study)
        query = query.order_by(_cells.c.asked.desc(), _cells.c.position, _cells.c.key)
        with self._database.reading() as connection:
            return [_cell(row) for row in connection.execute(query)]

    def study_outcomes(self) -> dict[str, Mapping[Outcome, tuple[object, ...]]]:
        """How many cells of each study stand how, of those that it asks for; costs no row of a cell.

        Returns:
            Name of the study to outcome to how many, and what changes besides with every cell:
            attempts, runs, and when the last one began and ended.
        """
        c = _cells.c
        facts = (func.count(), func.sum(c.attempts), func.count(func.nullif(c.run, "")))
        query = select(c.study, c.outcome, *facts, func.max(c.began_at), func.max(c.ended_at))
        found: dict[str, dict[Outcome, tuple[object, ...]]] = {}
        with self._database.reading() as connection:
            asked = (
                query.where(c.asked == 1).group_by(c.study, c.outcome).order_by(c.study, c.outcome)
            )
            for study, outcome, *told in connection.execute(asked):
                found.setdefault(study, {})[Outcome(outcome)] = tuple(told)
        return dict(found)

    def claim_cell(self, study: str, key: str, executes: Callable[[str], bool]) -> Claim:
        """Begin a cell, unless its key is finished or executed elsewhere: a key counts once.

        Args:
            study: Whose runner asks.
            key: Which cell.
            executes: Says whether a study has a runner at this moment.

        Returns:
            Whether it may be executed now; a finished one of another study is taken over.
        """
        now = self._clock.now()
        with self._database.writing(fenced=False) as connection:
            rows = connection.execute(select(_cells).where(_cells.c.key == key)).all()
            known = {row.study: _cell(row) for row in rows}
            mine = known.pop(study)
            for other in known.values():
                if other.outcome is Outcome.FINISHED and not other.kept:
                    taken = _taken_over(mine, other, f"study {other.study}")
                    _write(connection, taken)
                    return Claim(False, taken)
                if other.outcome is Outcome.RUNNING and executes(other.study):
                    return Claim(False, mine, elsewhere=other.study)
            begun = replace(
                mine,
                outcome=Outcome.RUNNING,
                attempts=mine.attempts + 1,
                began_at=mine.began_at or now,
                ended_at=None,
                why="",
                failed_cell=None,
            )
            _write(connection, begun)
        return Claim(True, begun)

    def put_cell(self, cell: StudyCell) -> None:
        """Write what became of a cell."""
        with self._database.writing(fenced=False) as connection:
            _write(connection, cell)

    def keep_cells(self, kept: Sequence[tuple[StudyCell, StudyCell]]) -> None:
        """Let finished cells of before a recipe changed count for those of the recipe as it is.

        Args:
            kept: Each cell that is asked for, with the finished one of another key.
        """
        with self._database.writing(fenced=False) as connection:
            for cell, before in kept:
                _write(connection, _taken_over(cell, before, f"{KEPT}{before.key}"))

    def begin_running(self, study: str, holder: Holder, lease_s: float) -> None:
        """Write who executes a study.

        Args:
            study: Which.
            holder: Who.
            lease_s: For how long, unless `keep_running` is called; counts on a shared lab alone,
                elsewhere a lock of the kernel says who does.

        Raises:
            StudyHeldError: Another process does, and its lease has not run out.
        """
        with self._database.writing(fenced=False) as connection:
            now = self._database.now(connection)
            found = connection.execute(select(_studies).where(_studies.c.name == study)).one()
            if self._database.shared and _leased(found, now):
                before = _holder(found.runner)
                raise StudyHeldError(study, str(before), f"{before.since:%Y-%m-%d %H:%M:%S} UTC")
            row = asdict(holder) | {"since": holder.since.isoformat()}
            change = {"runner": row, "until": now + timedelta(seconds=lease_s)}
            connection.execute(update(_studies).where(_studies.c.name == study).values(**change))

    def keep_running(self, study: str, word: str, lease_s: float) -> bool:
        """Hold the lease of a study longer; returns whether nobody else has it meanwhile.

        Args:
            study: Which.
            word: Of the process that holds it.
            lease_s: For how long from now.
        """
        with self._database.writing(fenced=False) as connection:
            found = connection.execute(select(_studies).where(_studies.c.name == study)).one()
            if found.runner is None or found.runner["word"] != word:
                return False
            until = self._database.now(connection) + timedelta(seconds=lease_s)
            connection.execute(update(_studies).where(_studies.c.name == study).values(until=until))
        return True

    def end_running(self, study: str, word: str) -> None:
        """Write that nobody executes a study any more, unless another process does by now."""
        with self._database.writing(fenced=False) as connection:
            found = connection.execute(select(_studies).where(_studies.c.name == study)).first()
            if found is not None and found.runner is not None and found.runner["word"] == word:
                gone = {"runner": None, "until": None}
                connection.execute(update(_studies).where(_studies.c.name == study).values(**gone))

    def study_leased_to(self, study: str) -> Holder | None:
        """Who executes a study of a shared lab by a lease that has not run out."""
        with self._database.reading() as connection:
            found = connection.execute(select(_studies).where(_studies.c.name == study)).first()
            if found is None or not _leased(found, self._database.now(connection)):
                return None
        return _holder(found.runner)


def _leased(row: Row[Any], now: datetime) -> bool:
    return row.runner is not None and row.until is not None and row.until > now


def _holder(facts: dict[str, Any]) -> Holder:
    return Holder(**facts | {"since": datetime.fromisoformat(facts["since"])})


def _taken_over(cell: StudyCell, other: StudyCell, origin: str) -> StudyCell:
    found = {name: getattr(other, name) for name in _TAKEN_OVER}
    origin = origin if origin.startswith(KEPT) else other.origin or origin
    return replace(cell, outcome=Outcome.FINISHED, why="", failed_cell=None, origin=origin, **found)


def _write(connection: Connection, cell: StudyCell) -> None:
    mine = (_cells.c.study == cell.study, _cells.c.key == cell.key)
    connection.execute(update(_cells).where(*mine).values(**asdict(cell)))


def _study(row: Row[Any]) -> StudyRecord:
    facts = {name: row._mapping[name] for name in StudyRecord.__slots__}
    return StudyRecord(**facts | {"code": tuple(row.code or ())})


def _cell(row: Row[Any]) -> StudyCell:
    texts = {name: row._mapping[name] or "" for name in ("why", "run", "origin")}
    texts |= {name: row._mapping[name] or "" for name in ("notebook", "page", "log")}
    numbers = {"seconds_s": row.seconds_s or 0.0, "attempts": row.attempts or 0}
    found = {**row._mapping, **texts, **numbers, "outcome": Outcome(row.outcome)}
    return StudyCell(**found)
