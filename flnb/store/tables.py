"""The tables that `lab.sql` sees: every column with its type and one line on what it means.

This page is the one place where they are described. The DuckDB tables are made from it, their SQL
comments are these sentences, and the columns of a closing are checked against it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import pyarrow as pa

_SQL_TYPES = {
    pa.string(): "VARCHAR",
    pa.int64(): "BIGINT",
    pa.float64(): "DOUBLE",
    pa.bool_(): "BOOLEAN",
    pa.timestamp("us", "UTC"): "TIMESTAMPTZ",
}
_TEXT, _COUNT, _NUMBER, _FLAG, _MOMENT = _SQL_TYPES


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table."""

    name: str
    type: pa.DataType
    description: str

    @property
    def sql_type(self) -> str:
        """The type as SQL calls it."""
        return _SQL_TYPES[self.type]


@dataclass(frozen=True)
class TableSpec:
    """One table of `lab.sql`."""

    name: str
    description: str
    columns: tuple[Column, ...]

    @cached_property
    def empty(self) -> pa.Table:
        """What a closing brings that has no rows for it."""
        return pa.schema([(column.name, column.type) for column in self.body]).empty_table()

    @cached_property
    def body(self) -> tuple[Column, ...]:
        """The columns that a closing brings itself: all but the key of its round."""
        return tuple(column for column in self.columns if column not in KEY)

    def ddl(self) -> list[str]:
        """SQL that makes the table, with its comments."""
        columns = ", ".join(f'"{column.name}" {column.sql_type}' for column in self.columns)
        return [
            f"CREATE TABLE {self.name} ({columns})",
            f"COMMENT ON TABLE {self.name} IS {_quoted(self.description)}",
            *(
                f'COMMENT ON COLUMN {self.name}."{column.name}" IS {_quoted(column.description)}'
                for column in self.columns
            ),
        ]


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


KEY = (
    Column("run", _TEXT, "Name of the run"),
    Column("branch", _TEXT, "Branch of the run; main unless it was branched"),
    Column("generation", _COUNT, "Rises each time the run is rolled back"),
    Column("round", _COUNT, "Number of the round, from 1"),
)

RUNS = TableSpec(
    "runs",
    "One row for each run of the lab",
    (
        Column("run", _TEXT, "Name of the run; its branches share it"),
        Column("id", _TEXT, "Identity of the run, unique for ever"),
        Column("status", _TEXT, "What the run is doing: running, waiting, paused, finished …"),
        Column("waits_for", _TEXT, "What a run waits for that does; empty otherwise"),
        Column("branch", _TEXT, "Branch that the run is on"),
        Column("generation", _COUNT, "Rises each time the run is rolled back"),
        Column("task", _TEXT, "Name of the task"),
        Column("plan", _TEXT, "The plan as YAML"),
        Column("plan_hash", _TEXT, "Short digest of the plan"),
        Column("fingerprint", _TEXT, "Fingerprint of the task (code, data, layout) as JSON"),
        Column("environment", _TEXT, "Versions and machine of the start as JSON"),
        Column("error", _TEXT, "Why the run is paused or failed; empty otherwise"),
        Column("study", _TEXT, "Study that the run belongs to; NULL if to none"),
        Column("study_key", _TEXT, "Key of the study's cell that began the run; NULL if none did"),
        Column("created_at", _MOMENT, "When the run was started"),
        Column("updated_at", _MOMENT, "When its status changed last"),
    ),
)

STUDIES = TableSpec(
    "studies",
    "One row for each study that was executed in the lab",
    (
        Column("study", _TEXT, "Name of the study"),
        Column("notebook", _TEXT, "Where its recipe lay"),
        Column("asked_for", _TEXT, "What it asks for, as its file would, as JSON"),
        Column("created_at", _MOMENT, "When it was executed first"),
        Column("updated_at", _MOMENT, "When it was executed last"),
    ),
)

STUDY_CELLS = TableSpec(
    "study_cells",
    "One row for each cell of a study, those too that it asks for no more",
    (
        Column("study", _TEXT, "Study that the cell belongs to"),
        Column("position", _COUNT, "Place among the cells that are asked for, from 0"),
        Column("study_key", _TEXT, "Key of the cell, the same in the table of runs"),
        Column("label", _TEXT, "What tells it from the others, such as alpha=0.3 seed=1"),
        Column("parameters", _TEXT, "Every parameter of the recipe as JSON, defaults included"),
        Column("seed", _COUNT, "Seed of the cell; NULL if it has none"),
        Column("asked", _FLAG, "Whether the study still asks for it"),
        Column("smoke", _FLAG, "Whether it is of smoke size"),
        Column("outcome", _TEXT, "waiting, running, finished, failed, cut off or out of time"),
        Column("why", _TEXT, "Why it is not finished; empty otherwise"),
        Column("failed_cell", _COUNT, "Code cell of the recipe that failed, from 1; else NULL"),
        Column("run", _TEXT, "Name of its run; NULL while there is none"),
        Column("branch", _TEXT, "Branch of that run; NULL while there is none"),
        Column("origin", _TEXT, "Whose result it takes over; empty of its own"),
        Column("attempts", _COUNT, "How often it was begun"),
        Column("seconds_s", _NUMBER, "Seconds of all its attempts together"),
        Column("began_at", _MOMENT, "When it was begun first; NULL if it was not"),
        Column("ended_at", _MOMENT, "When it ended last; NULL if it did not"),
        Column("notebook", _TEXT, "Where its executed notebook lies; empty while there is none"),
    ),
)

CLIENTS = TableSpec(
    "clients",
    "One row for each client that has joined the lab; simulated ones do not join",
    (
        Column("client", _TEXT, "Name of the client, unique in the lab"),
        Column("role", _TEXT, "What it may do, such as client"),
        Column("joined_at", _MOMENT, "When it joined, with its latest invite"),
        Column("rotated_at", _MOMENT, "When it changed its key last; NULL if not since it joined"),
        Column("revoked_at", _MOMENT, "When it was revoked; NULL if it was not"),
        Column("reason", _TEXT, "Why it was revoked; empty otherwise"),
        Column("last_seen_at", _MOMENT, "When it came last; NULL if it never came"),
        Column("n_examples", _COUNT, "Examples that it had when it came last"),
        Column("task", _TEXT, "Task that it came with last; NULL if it never came"),
        Column("version", _TEXT, "Its version of flnb then; NULL if it never came"),
    ),
)

OPERATIONS = TableSpec(
    "operations",
    "One row for each thing that somebody did; none is ever changed",
    (
        Column("position", _COUNT, "Place in the log, from 1"),
        Column(
            "at", _MOMENT, 'When it was done; SQL has a word at, so write "at" in double quotes'
        ),
        Column("actor", _TEXT, "Who did it; guard where a condition of the plan held"),
        Column("verb", _TEXT, "What was done, such as start, rollback or alias"),
        Column("run", _TEXT, "Name of the run; NULL for what is about the whole lab"),
        Column("branch", _TEXT, "Branch of the run"),
        Column("reason", _TEXT, "Why, in the words of who did it"),
        Column("details", _TEXT, "What exactly was done, as JSON"),
    ),
)

ROUNDS = TableSpec(
    "rounds",
    "One row for each closed round",
    (
        *KEY,
        Column("attempt", _COUNT, "Attempts of this round that had failed before"),
        Column("closed_by", _TEXT, "What closed the round: all answered, quorum, deadline …"),
        Column("invited", _COUNT, "Clients that were given work"),
        Column("accepted", _COUNT, "Clients whose update counts"),
        Column("refused", _COUNT, "Clients whose update must not be used"),
        Column("failed", _COUNT, "Clients whose task raised"),
        Column("lost", _COUNT, "Clients that dropped out"),
        Column("late", _COUNT, "Clients that had not answered when the round closed"),
        Column("bytes_up", _COUNT, "Bytes of the accepted updates on a wire"),
        Column("parameters_sha256", _TEXT, "Hash of the model after the round, if committed"),
        Column("snapshot", _TEXT, "Commit of the round in history, if committed"),
        Column("seconds_s", _NUMBER, "Seconds from opening to closing"),
        Column("opened_at", _MOMENT, "When the round was opened"),
        Column("closed_at", _MOMENT, "When the round was closed"),
    ),
)

ASSIGNMENTS = TableSpec(
    "assignments",
    "One row for each client that was given work in a round",
    (
        *KEY,
        Column("attempt", _COUNT, "Attempt of the round in which the work was given"),
        Column("client", _TEXT, "Client that got the work"),
        Column("outcome", _TEXT, "What became of it: accepted, refused, failed, lost or late"),
        Column("reason", _TEXT, "Why it was refused, or the traceback of its failure"),
    ),
)

UPDATES = TableSpec(
    "updates",
    "One row for each update that arrived",
    (
        *KEY,
        Column("client", _TEXT, "Client that sent the update"),
        Column("n_examples", _COUNT, "Examples that the client trained on"),
        Column("weight", _NUMBER, "Weight of the update in the aggregate"),
        Column("loss", _NUMBER, "Mean training loss over the client's steps"),
        Column("norm", _NUMBER, "L2 norm of the update"),
        Column("bytes_up", _COUNT, "Bytes of the update on a wire"),
        Column("arrived_s", _NUMBER, "Seconds from assignment to answer, simulated or measured"),
        Column("train_s", _NUMBER, "Seconds of work that were really spent"),
        Column("accepted", _FLAG, "Whether the update counts"),
    ),
)

METRICS = TableSpec(
    "metrics",
    "One row for each metric of a round",
    (
        *KEY,
        Column("scope", _TEXT, "central (held-out data), federated (clients) or training"),
        Column("metric", _TEXT, "Name of the metric, such as accuracy or loss"),
        Column("value", _NUMBER, "Its value"),
    ),
)

EVENTS = TableSpec(
    "events",
    "What happened in a round, in order",
    (
        *KEY,
        Column("position", _COUNT, "Place among the events of the round, from 0"),
        Column("kind", _TEXT, "What happened, such as round_started or client_update"),
        Column("client", _TEXT, "Client that it concerns; empty for the whole round"),
        Column("detail", _TEXT, "More about it in words"),
    ),
)

BODIES = (METRICS, ASSIGNMENTS, UPDATES, EVENTS)
"""Tables whose rows come inside closings, each under the closing's field of the same name."""
TABLES = (RUNS, STUDIES, STUDY_CELLS, CLIENTS, OPERATIONS, ROUNDS, *BODIES)
"""Every table of `lab.sql`."""
