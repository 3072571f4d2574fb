"""Failed attempts, inside somebody's transaction."""

from __future__ import annotations

from dataclasses import asdict

from sqlalchemy import Connection, insert, literal, select

from flnb.store import schema
from flnb.store.lineage import Generation
from flnb.store.records import FailedAttempt


def carry(connection: Connection, repaired: FailedAttempt, begun: Generation) -> None:
    """Let attempts of rounds that are done again count in the generation that does them.

    Args:
        connection: The transaction in which the generation begins.
        repaired: The attempt for which its head is moved, of the generation that is left.
        begun: The generation.
    """
    table = schema.attempts
    rest = [column for column in table.c if column.name not in {"run", "generation"}]
    generation = literal(begun.generation, table.c.generation.type)
    known = select(table.c.run, generation, *rest).where(
        table.c.run == repaired.run,
        table.c.generation == repaired.generation,
        table.c.round > begun.after,
    )
    names = ["run", "generation", *(column.name for column in rest)]
    connection.execute(insert(table).from_select(names, known))
    row = asdict(repaired) | {"generation": begun.generation}
    connection.execute(insert(table), row)
