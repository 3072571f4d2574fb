"""The operations log as a chain: an entry that was changed or taken out is found.

Each entry's digest covers the one before and is signed with the lab's key, so that nobody else can make
the chain anew. What was cut off at the end is found by whoever knows a later digest: every commit carries
the one that was newest when it was made, with its signature.

Not found is what was cut off since the last commit, and what the holder of the secret did: whoever owns
both the database and the secret can write another log.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from flnb.store import schema
from flnb.store.records import Operation
from flnb.store.signing import LogKey, is_signed

KEY = "flnb_log_key"
"""Option of a connection that writes: gives the key to sign with."""
_table = schema.operations


def append(connection: Connection, operation: Operation) -> str:
    """Write an operation, inside somebody's transaction; returns its digest."""
    newest = select(_table.c.digest).order_by(_table.c.position.desc()).limit(1)
    digest = _digest(connection.scalar(newest) or "", operation)
    row = asdict(operation) | {"digest": digest}
    if (key_of := connection.get_execution_options().get(KEY)) is not None:
        key: LogKey = key_of()
        row["signature"] = key.sign(digest)
        first = update(schema.lab).where(schema.lab.c.log_key.is_(None))
        connection.execute(first.values(log_key=key.public))
    connection.execute(insert(_table), row)
    return digest


def head(connection: Connection) -> tuple[int, str]:
    """Place and digest of the newest operation; (0, "") of an empty log."""
    query = select(_table.c.position, _table.c.digest).order_by(_table.c.position.desc()).limit(1)
    row = connection.execute(query).first()
    return (0, "") if row is None else (int(row.position), row.digest or "")


def signed_head(connection: Connection) -> tuple[int, str, str]:
    """Place, digest and signature (hexadecimal) of the newest operation; empty words for none."""
    columns = (_table.c.position, _table.c.digest, _table.c.signature)
    row = connection.execute(select(*columns).order_by(_table.c.position.desc()).limit(1)).first()
    if row is None:
        return 0, "", ""
    return int(row.position), row.digest or "", (row.signature or b"").hex()


def public_key(connection: Connection) -> bytes | None:
    """The key that the log is signed with; None if it never was."""
    found: bytes | None = connection.scalar(select(schema.lab.c.log_key))
    return found


def first_damage(connection: Connection, known: Mapping[int, str]) -> str:
    """Say what is wrong with the log; empty when it is whole.

    Args:
        connection: To read it.
        known: Place to digest of operations, from elsewhere: commits carry them.
    """
    before, found, signed = "", dict[int, str](), False
    public = public_key(connection)
    for row in connection.execute(select(_table).order_by(_table.c.position)):
        operation = Operation(row.at, row.actor, row.verb, row.run, row.reason, row.details or {})
        if row.digest is None and not before:
            continue  # of before there was a chain
        expected = _digest(before, operation)
        if row.digest != expected:
            return f"operation {row.position} ({row.verb} by {row.actor}) was changed, or one before it taken out"
        if (signed := signed or row.signature is not None) and not _is_signed(public, row):
            return f"operation {row.position} ({row.verb} by {row.actor}) is not signed with the lab's key"
        before = found[row.position] = expected
    for position, digest in sorted(known.items()):
        if found.get(position) != digest:
            return f"operation {position} is in a commit, and not in the log as it was"
    if public is not None and not signed:
        return "the signatures of all operations were taken out"
    return ""


def _is_signed(public: bytes | None, row: Row[Any]) -> bool:
    if public is None or row.signature is None:
        return False
    return is_signed(public, row.digest, row.signature)


def _digest(before: str, operation: Operation) -> str:
    facts: dict[str, Any] = asdict(operation) | {"at": operation.at.timestamp()}
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(f"{before}\n{text}".encode()).hexdigest()
