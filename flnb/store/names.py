"""Names of rounds: those that people move, and those of heads that were left behind."""

from __future__ import annotations

from dataclasses import replace

from flnb.core import Clock, RunId
from flnb.core.errors import NameTakenError
from flnb.store import closing_rows, log
from flnb.store.database import Database
from flnb.store.generations import Request
from flnb.store.lineage import RoundKey
from flnb.store.lines import check_there, record_of
from flnb.store.name_rows import ALIAS, KEPT, names_of, write
from flnb.store.records import Named, Operation


class Names:
    """The part of the state that says what rounds are called."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock

    def names(self, run: RunId) -> dict[str, Named]:
        """Names of rounds of a run, on any of its branches, as they stand."""
        return {one.name: one for one in self.names_over_time(run)}

    def names_over_time(self, run: RunId, name: str | None = None) -> list[Named]:
        """Every giving of a name, or of one name, oldest first.

        Raises:
            NotFoundError: There is no such run.
        """
        with self._database.reading() as connection:
            found = names_of(connection, record_of(connection, run).trunk_name)
        return [one for one in found if name in (None, one.name)]

    def give_name(self, name: str, key: RoundKey, request: Request) -> Named:
        """Let a name mean this round from now on.

        Raises:
            NameTakenError: The name is of a head that was left behind; it stays.
            RoundStateError: The round's commit has gone since somebody looked.
            NotFoundError: There is no such run, or the round has no commit.
        """
        with self._database.writing(of=key.run) as connection:
            record = record_of(connection, key.run)
            check_there(connection, record, key)
            for one in names_of(connection, record.trunk_name):
                if one.name == name and one.kind == KEPT:
                    raise NameTakenError(
                        f"{name!r} names a head that was left behind, and stays",
                        hint="choose another name",
                    )
            now, closing = self._clock.now(), closing_rows.find(connection, key)
            digest = None if closing is None else closing.parameters_sha256
            given = Named(name, key, ALIAS, request.actor, request.reason, now, digest)
            write(connection, record, given)
            operation = Operation(given.at, request.actor, "alias", key.run, request.reason)
            log.append(connection, replace(operation, details={"name": name, "key": list(key)}))
            return given
