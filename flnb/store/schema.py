"""Tables of the state database, for SQLAlchemy.

`FORMAT` rises when an older flnb could not read the tables any more. A table or a column more does
not: an older lab gets it when it is opened.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    Column,
    Float,
    ForeignKey,
    Index,
    LargeBinary,
    MetaData,
    Table,
    UniqueConstraint,
)

from flnb.store.column_types import Count, Flag, Json, Moment, Words

FORMAT = 1

metadata = MetaData()


def _run() -> Column[str]:
    return Column("run", Words, ForeignKey("runs.id"), nullable=False)


def _count(name: str) -> Column[int]:
    return Column(name, Count, nullable=False)


def _text(name: str) -> Column[str]:
    return Column(name, Words, nullable=False)


def _json(name: str) -> Column[Any]:
    return Column(name, Json)


def _moment(name: str) -> Column[datetime]:
    return Column(name, Moment, nullable=False)


lab = Table(
    "lab",
    metadata,
    Column("id", Words, primary_key=True),
    _count("format"),
    _moment("created_at"),
    Column("address", Words),
    Column("secret", LargeBinary),
    Column("epoch", Count),
    Column("log_key", LargeBinary),
)
"""One row. What belongs to a shared lab alone is empty in a folder's: where its commits lie, its
secret, and the newest epoch, which every writing transaction looks at."""

epochs = Table(
    "epochs",
    metadata,
    Column("epoch", Count, primary_key=True, autoincrement=False),
    _text("who"),
    _count("pid"),
    _text("host"),
    _moment("since"),
    Column("until", Moment),
    Column("ended_at", Moment),
    Column("word", Words),
)
"""Who took the lab when. `until` is the end of a lease that must be renewed, by the database's clock;
`word` tells processes apart that have the same number and host."""

guests = Table(
    "guests",
    metadata,
    Column("name", Words, primary_key=True),
    _text("who"),
    _count("pid"),
    _text("host"),
    _moment("since"),
    _moment("until"),
    Column("word", Words),
)
"""Guests of a shared lab, each with a lease that it renews, by the database's clock; who goes, or was away
for too long, has no row any more. In a folder locks of the kernel say it."""

runs = Table(
    "runs",
    metadata,
    Column("id", Words, primary_key=True),
    Column("name", Words, nullable=False, unique=True),
    _text("plan_yaml"),
    _text("plan_hash"),
    _text("task_name"),
    *map(_json, ("task_ref", "fingerprint", "layout", "environment", "simulation")),
    _text("status"),
    _text("branch"),
    _count("generation"),
    _moment("created_at"),
    _moment("updated_at"),
    Column("error", Words),
    Column("protected", Flag),
    *map(_json, ("start", "waits")),
    *(Column(name, Words) for name in ("guest", "study", "study_key")),
)

closings = Table(
    "closings",
    metadata,
    Column("position", Count, primary_key=True),
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
    Column("snapshot", Words),
    Column("parameters_sha256", Words),
    Column("sums", Words),
    _json("expired"),
    *(Column(name, LargeBinary) for name in ("metrics", "assignments", "updates", "events")),
    UniqueConstraint("run", "branch", "generation", "round"),
)

forgotten = Table(
    "forgotten",
    metadata,
    Column("position", Count, primary_key=True),
    _run(),
    _text("branch"),
    _count("generation"),
    _count("after"),
)
"""Closings that were taken back: of that run, of later rounds, and of lower positions."""

generations = Table(
    "generations",
    metadata,
    Column("run", Words, ForeignKey("runs.id"), primary_key=True),
    Column("generation", Count, primary_key=True),
    Column("base_run", Words, ForeignKey("runs.id")),
    Column("base_generation", Count),
    Column("base_round", Count),
    Column("replay_run", Words),
    Column("replay_generation", Count),
    Column("replay_round", Count),
    Column("base_sha256", Words),
    Column("request", Words, nullable=False, unique=True),
    *map(_text, ("actor", "reason")),
    _moment("at"),
)
"""What each generation of a branch stands on; one that is missing stands on the first version. One
that replays does the rounds of another line up to one of them again, from kept updates."""

names = Table(
    "names",
    metadata,
    Column("position", Count, primary_key=True),
    _text("trunk"),
    _text("name"),
    _run(),
    *map(_count, ("generation", "round")),
    *map(_text, ("kind", "actor", "reason")),
    _moment("at"),
    Column("parameters_sha256", Words),
    Index("names_of_trunk", "trunk", "name"),
)
"""Names of rounds, never changed: the newest row of a name counts."""

heads = Table(
    "heads",
    metadata,
    Column("run", Words, ForeignKey("runs.id"), primary_key=True),
    Column("branch", Words, primary_key=True),
    _count("generation"),
    _count("round"),
    Column("snapshot_round", Count),
)

journal = Table(
    "journal",
    metadata,
    Column("position", Count, primary_key=True),
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
    Column("run", Words, ForeignKey("runs.id"), primary_key=True),
    *(Column(name, Count, primary_key=True) for name in ("generation", "round", "attempt")),
    _json("counts"),
    _json("reasons"),
    _moment("ended_at"),
)

operations = Table(
    "operations",
    metadata,
    Column("position", Count, primary_key=True),
    _moment("at"),
    _text("actor"),
    _text("verb"),
    Column("run", Words),
    _text("reason"),
    _json("details"),
    Column("digest", Words),
    Column("signature", LargeBinary),
)

commands = Table(
    "commands",
    metadata,
    Column("id", Count, primary_key=True),
    _run(),
    _text("verb"),
    _moment("asked_at"),
    Column("result", Words),
    _json("arguments"),
    Column("begun_at", Moment),
)
"""What begun has nobody takes back any more: `begun_at` says since when."""

clients = Table(
    "clients",
    metadata,
    Column("name", Words, primary_key=True),
    Column("public_key", LargeBinary, nullable=False),
    _text("role"),
    _moment("joined_at"),
    Column("revoked_at", Moment),
    _text("reason"),
    Column("last_seen_at", Moment),
    _count("n_examples"),
    _json("about"),
    Column("rotated_at", Moment),
)

invites = Table(
    "invites",
    metadata,
    Column("token_hash", Words, primary_key=True),
    _text("client"),
    _text("role"),
    _moment("created_at"),
    _moment("expires_at"),
    Column("used_by", LargeBinary),
    Column("revoked_at", Moment),
    Index("invites_of_client", "client"),
)

quarantines = Table(
    "quarantines",
    metadata,
    Column("client", Words, primary_key=True),
    _moment("at"),
    *map(_text, ("actor", "reason")),
)
"""Who is not drawn for now; the row goes with the release, the log keeps both."""

tokens = Table(
    "tokens",
    metadata,
    Column("id", Words, primary_key=True),
    _text("name"),
    _text("role"),
    _moment("created_at"),
    _moment("expires_at"),
    Column("revoked_at", Moment),
    Index("tokens_of_name", "name"),
)
