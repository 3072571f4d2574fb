"""Tables of studies in the state database: what was asked for, and what became of each cell."""

from __future__ import annotations

from sqlalchemy import Column, Float, ForeignKey, Index, Table

from flnb.store.column_types import Count, Flag, Json, Moment, Words
from flnb.store.schema import metadata

study = Table(
    "study",
    metadata,
    Column("name", Words, primary_key=True),
    Column("notebook", Words, nullable=False),
    *(Column(name, Json) for name in ("asked_for", "code")),
    *(Column(name, Moment, nullable=False) for name in ("created_at", "updated_at")),
    Column("runner", Json),
    Column("until", Moment),
)
"""One row a study. `code` holds the digests of the recipe's code cells when it was asked for last;
`runner` says who executes it, on a shared lab until the lease in `until` runs out."""

study_cell = Table(
    "study_cell",
    metadata,
    Column("study", Words, ForeignKey("study.name"), primary_key=True),
    Column("key", Words, primary_key=True),
    Column("position", Count, nullable=False),
    Column("parameters", Json, nullable=False),
    Column("seed", Count),
    Column("asked", Flag),
    Column("outcome", Words, nullable=False),
    *(Column(name, Words) for name in ("why", "run", "origin")),
    *(Column(name, Moment) for name in ("began_at", "ended_at")),
    Column("seconds_s", Float),
    *(Column(name, Count) for name in ("attempts", "failed_cell")),
    *(Column(name, Words) for name in ("notebook", "page", "log")),
    Column("smoke", Flag),
    Index("study_cells_of_key", "key"),
)
"""One row a cell. A key that another study finished before is finished here as well: `origin` says so."""
