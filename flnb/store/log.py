"""The operations log as a chain: an entry that was changed or taken out is found.

Each entry's digest covers the one before. What was cut off at the end is found by whoever knows a
later digest: every commit carries the one that was newest when it was made.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, insert, select

from flnb.store import schema
from flnb.store.records import Operation

_table = schema.operations


def append(connection: Connection, operation: Operation) -> str:
    """Write an operation, inside somebody's transaction; returns its digest."""
    newest = select(_table.c.digest).order_by(_table.c.position.desc()).limit(1)
    digest = _digest(connection.scalar(newest) or "", operation)
    connection.execute(insert(_table), asdict(operation) | {"digest": digest})
    return digest


def head(connection: Connection) -> tuple[int, str]:
    """Place and digest of the newest operation; (0, "") of an empty log."""
    query = select(_table.c.position, _table.c.digest).order_by(_table.c.position.desc()).limit(1)
    row = connection.execute(query).first()
    return (0, "") if row is None else (int(row.position), row.digest or "")


def first_damage(connection: Connection, known: Mapping[int, str]) -> str:
    """Say what is wrong with the log; empty when it is whole.

    Args:
        connection: To read it.
        known: Place to digest of operations, from elsewhere: commits carry them.
    """
    before, found = "", dict[int, str]()
    for row in connection.execute(select(_table).order_by(_table.c.position)):
        operation = Operation(row.at, row.actor, row.verb, row.run, row.reason, row.details or {})
        if row.digest is None and not before:
            continue  # of before there was a chain
        expected = _digest(before, operation)
        if row.digest != expected:
            return f"operation {row.position} ({row.verb} by {row.actor}) was changed, or one before it taken out"
        before = found[row.position] = expected
    for position, digest in sorted(known.items()):
        if found.get(position) != digest:
            return f"operation {position} is in a commit, and not in the log as it was"
    return ""


def _digest(before: str, operation: Operation) -> str:
    facts: dict[str, Any] = asdict(operation) | {"at": operation.at.timestamp()}
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(f"{before}\n{text}".encode()).hexdigest()
