"""Tables of the state database, for SQLAlchemy.

`FORMAT` rises when an older flnb could not read the tables any more. A table or a column more does
not: an older lab gets it when it is opened.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.engine import Dialect

FORMAT = 1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Moment(TypeDecorator[datetime]):
    """A time with its zone, as microseconds since 1970: SQLite would drop the zone."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        """To microseconds, without going through a float."""
        return None if value is None else (value - _EPOCH) // _MICROSECOND

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """To a time in UTC."""
        return None if value is None else _EPOCH + value * _MICROSECOND


metadata = MetaData()


def _run() -> Column[str]:
    return Column("run", Text, ForeignKey("runs.id"), nullable=False)


def _count(name: str) -> Column[int]:
    return Column(name, Integer, nullable=False)


def _text(name: str) -> Column[str]:
    return Column(name, Text, nullable=False)


def _json(name: str) -> Column[Any]:
    return Column(name, JSON(none_as_null=True))


def _moment(name: str) -> Column[datetime]:
    return Column(name, Moment, nullable=False)


lab = Table(
    "lab",
    metadata,
    Column("id", Text, primary_key=True),
    _count("format"),
    _moment("created_at"),
)

runs = Table(
    "runs",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    _text("plan_yaml"),
    _text("plan_hash"),
    _text("task_name"),
    *map(_json, ("task_ref", "fingerprint", "layout", "environment", "simulation")),
    _text("status"),
    _text("branch"),
    _count("generation"),
    _moment("created_at"),
    _moment("updated_at"),
    Column("error", Text),
    Column("protected", Integer),
)

closings = Table(
    "closings",
    metadata,
    Column("position", Integer, primary_key=True),
    _run(),
    _text("branch"),
    _count("generation"),
    _count("round"),
    _count("attempt"),
    _text("closed_by"),
    _moment("opened_at"),
    _moment("closed_at"),
    Column("seconds_s", Float, nullable=False),
    *map(_count, ("invited", "accepted", "refused", "failed", "lost", "late", "bytes_up")),
    Column("snapshot", Text),
    Column("parameters_sha256", Text),
    *(Column(name, LargeBinary) for name in ("metrics", "assignments", "updates", "events")),
    UniqueConstraint("run", "branch", "generation", "round"),
)

forgotten = Table(
    "forgotten",
    metadata,
    Column("position", Integer, primary_key=True),
    _run(),
    _text("branch"),
    _count("generation"),
    _count("after"),
)
"""Closings that were taken back: of that run, of later rounds, and of lower positions."""

generations = Table(
    "generations",
    metadata,
    Column("run", Text, ForeignKey("runs.id"), primary_key=True),
    Column("generation", Integer, primary_key=True),
    Column("base_run", Text, ForeignKey("runs.id")),
    Column("base_generation", Integer),
    Column("base_round", Integer),
    Column("request", Text, nullable=False, unique=True),
    *map(_text, ("actor", "reason")),
    _moment("at"),
)
"""What each generation of a branch stands on; one that is missing stands on the first version."""

names = Table(
    "names",
    metadata,
    Column("position", Integer, primary_key=True),
    _text("trunk"),
    _text("name"),
    _run(),
    *map(_count, ("generation", "round")),
    *map(_text, ("kind", "actor", "reason")),
    _moment("at"),
    Index("names_of_trunk", "trunk", "name"),
)
"""Names of rounds, never changed: the newest row of a name counts."""

heads = Table(
    "heads",
    metadata,
    Column("run", Text, ForeignKey("runs.id"), primary_key=True),
    Column("branch", Text, primary_key=True),
    _count("generation"),
    _count("round"),
    Column("snapshot_round", Integer),
)

journal = Table(
    "journal",
    metadata,
    Column("position", Integer, primary_key=True),
    _run(),
    _count("round"),
    _count("attempt"),
    _text("kind"),
    _json("payload"),
    Index("journal_of_run", "run", "round"),
)

attempts = Table(
    "attempts",
    metadata,
    Column("run", Text, ForeignKey("runs.id"), primary_key=True),
    *(Column(name, Integer, primary_key=True) for name in ("generation", "round", "attempt")),
    _json("counts"),
    _json("reasons"),
    _moment("ended_at"),
)

operations = Table(
    "operations",
    metadata,
    Column("position", Integer, primary_key=True),
    _moment("at"),
    _text("actor"),
    _text("verb"),
    Column("run", Text),
    _text("reason"),
    _json("details"),
    Column("digest", Text),
)

commands = Table(
    "commands",
    metadata,
    Column("id", Integer, primary_key=True),
    _run(),
    _text("verb"),
    _moment("asked_at"),
    Column("result", Text),
    _json("arguments"),
)

clients = Table(
    "clients",
    metadata,
    Column("name", Text, primary_key=True),
    Column("public_key", LargeBinary, nullable=False),
    _text("role"),
    _moment("joined_at"),
    Column("revoked_at", Moment),
    _text("reason"),
    Column("last_seen_at", Moment),
    _count("n_examples"),
    _json("about"),
)

invites = Table(
    "invites",
    metadata,
    Column("token_hash", Text, primary_key=True),
    _text("client"),
    _text("role"),
    _moment("created_at"),
    _moment("expires_at"),
    Column("used_by", LargeBinary),
    Column("revoked_at", Moment),
    Index("invites_of_client", "client"),
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", Text, primary_key=True),
    _text("name"),
    _text("role"),
    _moment("created_at"),
    _moment("expires_at"),
    Column("revoked_at", Moment),
    Index("tokens_of_name", "name"),
)
