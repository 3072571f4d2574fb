"""Names of rounds, inside somebody's transaction."""

from __future__ import annotations

from dataclasses import asdict

from sqlalchemy import Connection, insert, select

from flnb.store import schema
from flnb.store.lineage import RoundKey
from flnb.store.records import Named, RunRecord

ALIAS, KEPT = "alias", "kept"
"""Kinds: a name that people move, and one of a head that was left behind."""
_table = schema.names


def write(connection: Connection, record: RunRecord, named: Named) -> None:
    """Give a name on any branch of a run."""
    values = asdict(named) | named.key._asdict() | {"trunk": record.trunk_name}
    del values["key"]
    connection.execute(insert(_table), values)


def names_of(connection: Connection, trunk: str) -> list[Named]:
    """Every giving of a name on any branch of a run, oldest first."""
    query = select(_table).where(_table.c.trunk == trunk).order_by(_table.c.position)
    return [
        Named(
            row.name,
            RoundKey(row.run, row.generation, row.round),
            row.kind,
            row.actor,
            row.reason,
            row.at,
            row.parameters_sha256,
        )
        for row in connection.execute(query)
    ]
