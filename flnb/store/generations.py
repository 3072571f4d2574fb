"""Heads that people move: forks and roll backs; what is left behind gets a name.

Each move is one transaction, and the moment at which it has happened. Commits stay where they
are: whoever restores a head reads the commit that the rows name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from flnb.core import RunId, Status, failpoints
from flnb.core.errors import HeadMovedError, NameTakenError, PlanError, RoundStateError
from flnb.store import attempt_rows, closing_rows, log, name_rows, schema
from flnb.store.guest_rows import check_not_driven, taken_by
from flnb.store.lineage import Generation, RoundKey
from flnb.store.lines import Lines, blocking, check_there, record_of
from flnb.store.records import FailedAttempt, Named, Operation, RunRecord

_generations, _runs, _heads = schema.generations, schema.runs, schema.heads


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Who wants a head moved, and why; with a name of its own, so that it is done once."""

    id: str
    actor: str
    reason: str

    def __post_init__(self) -> None:
        """Refuse a reason that no database holds, before anything is done for it."""
        check_reason(self.reason)


class Generations(Lines):
    """The part of the state that moves heads, and makes branches; see `lines.py` for where they lead."""

    def fork(
        self,
        record: RunRecord,
        base: RoundKey | None,
        request: Request,
        replays: RoundKey | None = None,
    ) -> Generation:
        """Write a new branch that stands on a round of another one; once if asked again.

        Args:
            record: The branch.
            base: The round; None is the first version.
            request: Who asks, and why.
            replays: Rounds up to this one are to be done again from kept updates.

        Raises:
            NameTakenError: There is a branch of that name, or the request made another one.
            RoundStateError: The commit has gone since somebody looked.
            NotFoundError: The base has no commit of this run.
        """
        with self._database.writing(of=record.id) as connection:
            if (known := _asked_before(connection, request)) is not None:
                if (there := record_of(connection, known.run).name) != record.name:
                    raise _used(request, there)
                return known
            if connection.scalar(select(_runs.c.id).where(_runs.c.name == record.name)):
                raise NameTakenError(
                    f"the lab has a branch {record.name!r} already", hint="choose another name"
                )
            check_there(connection, record, base)
            connection.execute(insert(_runs), asdict(taken_by(self._database, record)))
            row = self._begin(connection, record.id, 1, base, request, replays=replays)
            head = {"run": record.id, "branch": record.branch, "generation": 1, "round": row.after}
            connection.execute(insert(_heads), head)
            verb, more = ("replay", {"of": list(replays)}) if replays else ("branch", {})
            self._note(connection, verb, row, {"name": record.name} | more)
            failpoints.reach("in-move")
            return row

    def check_move(
        self, run: RunId, seen: tuple[int, int], base: RoundKey | None, request: Request
    ) -> bool:
        """See that a head could be moved now; raises what `move_head` would.

        Returns:
            False if the same request was done before.
        """
        with self._database.reading() as connection:
            if (known := _asked_before(connection, request)) is not None:
                if known.run != run:
                    raise _used(request, record_of(connection, known.run).name)
                return False
            self._check_move(connection, record_of(connection, run), seen, base)
            return True

    def move_head(
        self,
        run: RunId,
        seen: tuple[int, int],
        base: RoundKey | None,
        request: Request,
        repaired: FailedAttempt | None = None,
    ) -> Generation:
        """Let a branch go on from another round, if its head is where it was seen.

        The head that is left behind gets a name; the run rests, or goes on if an attempt is repaired.

        Args:
            run: The branch.
            seen: Generation and round of the head that was looked at.
            base: A round with a commit; None is the first version.
            request: The same one twice is done once, and answered twice.
            repaired: For which attempt a guard moves it; this and those before count from now on.

        Raises:
            HeadMovedError: The head is elsewhere; nothing was done.
            NameTakenError: The request was done before, to another branch.
            RoundStateError: The branch is protected, an alias names a round that would leave, or the
                commit has gone since somebody looked.
            NotFoundError: There is no such run, or the base has no commit of it.
        """
        with self._database.writing(of=run) as connection:
            if (known := _asked_before(connection, request)) is not None:
                if known.run != run:
                    raise _used(request, record_of(connection, known.run).name)
                return known
            record = record_of(connection, run)
            check_not_driven(self._database, connection, record)
            self._check_move(connection, record, seen, base)
            row = self._begin(connection, run, seen[0] + 1, base, request)
            left = RoundKey(run, *seen)
            if left.round:
                kept = Named(
                    record.kept_name(seen[0]), left, name_rows.KEPT, *_who(request), row.at
                )
                name_rows.write(connection, record, kept)
            of_run = _heads.c.run == run
            change = {"generation": row.generation, "round": row.after, "snapshot_round": None}
            connection.execute(update(_heads).where(of_run).values(change))
            status = Status.PAUSED if repaired is None else Status.RUNNING
            stands = {"generation": row.generation, "status": status, "error": None}
            connection.execute(update(_runs).where(_runs.c.id == run).values(stands))
            if repaired is not None:
                attempt_rows.carry(connection, repaired, row)
            journal = schema.journal
            connection.execute(delete(journal).where(journal.c.run == run))
            self._note(connection, "rollback", row, {"left": list(left), "base": base})
            failpoints.reach("in-move")
            return row

    def protect(self, run: RunId, request: Request, *, protected: bool = True) -> None:
        """Let nobody move the head of a branch back, or again let them.

        Raises:
            NotFoundError: There is no such run.
        """
        with self._database.writing(of=run) as connection:
            record_of(connection, run)
            connection.execute(
                update(_runs).where(_runs.c.id == run).values(protected=int(protected))
            )
            verb = "protect" if protected else "unprotect"
            at = self._clock.now()
            log.append(connection, Operation(at, request.actor, verb, run, request.reason))

    # --- within a transaction -------------------------------------------------------------------

    def _begin(
        self,
        connection: Connection,
        run: RunId,
        generation: int,
        base: RoundKey | None,
        request: Request,
        *,
        replays: RoundKey | None = None,
    ) -> Generation:
        actor, reason = _who(request)
        stands_on = closing_rows.find(connection, base) if base else None
        row = Generation(
            run=run,
            generation=generation,
            base=base,
            request=request.id,
            actor=actor,
            reason=reason,
            at=self._clock.now(),
            replays=replays,
            base_sha256=stands_on.parameters_sha256 if stands_on else None,
        )
        keys = {"base": base, "replay": replays}
        key_columns = {
            f"{kind}_{part}": value
            for kind, key in keys.items()
            for part, value in (key._asdict().items() if key else ())
        }
        values = {
            name: getattr(row, name)
            for name in ("run", "generation", "request", "actor", "reason", "at", "base_sha256")
        }
        connection.execute(insert(_generations), values | key_columns)
        return row

    def _note(
        self, connection: Connection, verb: str, row: Generation, details: Mapping[str, Any]
    ) -> None:
        facts = dict(details) | {"generation": row.generation}
        log.append(connection, Operation(row.at, row.actor, verb, row.run, row.reason, facts))

    def _check_move(
        self,
        connection: Connection,
        record: RunRecord,
        seen: tuple[int, int],
        base: RoundKey | None,
    ) -> None:
        """Refuse a move of another head, to what is not there, or that somebody forbids."""
        if (now := _head(connection, record)) != seen:
            raise HeadMovedError(record.name, seen, now)
        check_there(connection, record, base)
        if record.protected:
            raise protected(record.name)
        if leaving := blocking(connection, record, base):
            raise blocked(record.name, [f"@{one.name} (round {one.key.round})" for one in leaving])


def check_reason(reason: str) -> None:
    """See that a reason can be written down.

    Raises:
        PlanError: It has half a character, such as what was read from bytes that are not UTF-8.
    """
    try:
        reason.encode()
    except UnicodeEncodeError as error:
        raise PlanError(
            f"the reason has half a character at place {error.start + 1}, which cannot be written: "
            f"{reason[max(0, error.start - 20) : error.start + 20]!r}",
            hint="write the reason in UTF-8",
        ) from None


def protected(name: str) -> RoundStateError:
    """Why the head of a protected branch is not moved."""
    return RoundStateError(
        f"{name} is protected: its head is not moved back",
        hint="run.protect(False) first, or run.branch(…) to try something else",
    )


def blocked(name: str, aliases: Iterable[str]) -> RoundStateError:
    """Why a head is not moved to where aliases would leave the branch."""
    return RoundStateError(
        f"{', '.join(aliases)} would leave {name}", hint="give the alias to another round first"
    )


def _head(connection: Connection, record: RunRecord) -> tuple[int, int]:
    row = connection.execute(select(_heads).where(_heads.c.run == record.id)).first()
    return (record.generation, 0) if row is None else (row.generation, row.round)


def _asked_before(connection: Connection, request: Request) -> Generation | None:
    query = select(_generations).where(_generations.c.request == request.id)
    row = connection.execute(query).first()
    return None if row is None else Generation.of(row)


def _used(request: Request, there: str) -> NameTakenError:
    return NameTakenError(
        f"the id {request.id!r} is that of something done before, to {there!r}",
        hint="an id is for one deed: choose another one",
    )


def _who(request: Request) -> tuple[str, str]:
    return request.actor, request.reason
