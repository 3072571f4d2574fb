"""Rounds that are done again: those that were closed and are in no commit when a run goes on.

They come out as they did, bit for bit, and their rows stay. But whoever took part may be elsewhere by
then, or in quarantine; then rows of the first time would tell of a model that nobody ever gets.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from sqlalchemy import func, select

from flnb.core import Clock, RunId
from flnb.store import closing_rows, schema
from flnb.store.columns import to_table
from flnb.store.database import Database
from flnb.store.records import Closing
from flnb.store.tables import ASSIGNMENTS, METRICS, UPDATES

_LASTING = (
    (ASSIGNMENTS, ("client", "outcome")),
    (UPDATES, ("client", "n_examples", "weight", "loss", "norm", "accepted")),
    (METRICS, ("scope", "metric", "value")),
)
"""What is the same when a round is done again with the same clients from the same version; clocks and
words, which may tell times, are not."""


class Again:
    """The part of the state that knows what came of rounds which were done again."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock

    def take_back_if_other(self, again: Closing) -> bool:
        """Take a round back that comes out otherwise than it is stored, with all that followed from it.

        Args:
            again: The same round as it was done now, before it is closed.

        Returns:
            Whether it did; a committed round stays whatever comes out.

        Raises:
            ValueError: A later round is committed to the history.
        """
        with self._database.reading() as connection:
            stored = closing_rows.find(connection, again.round_key)
        if stored is None or stored.snapshot is not None or _alike(stored, again):
            return False
        with self._database.writing(of=again.run) as connection:
            closing_rows.take_back(connection, again.key[:3], again.round - 1)
        return True

    def last_taken_back(self, run: RunId) -> int:
        """Place in the lab's sequence of closings at which rounds of a run were taken back last, or 0."""
        table = schema.forgotten.c
        with self._database.reading() as connection:
            query = select(func.max(table.position)).where(table.run == run)
            return connection.scalar(query) or 0


def _alike(stored: Closing, again: Closing) -> bool:
    """Whether a round came out as it is stored."""
    digests = (stored.parameters_sha256, again.parameters_sha256)
    if None not in digests and digests[0] != digests[1]:  # its commit was given up as damaged
        return False
    for spec, names in _LASTING:
        tables = [to_table(getattr(each, spec.name), spec) for each in (stored, again)]
        if not all(_same(*(table[name] for table in tables)) for name in names):
            return False
    return stored.attempt == again.attempt


def _same(stored: pa.ChunkedArray, again: pa.ChunkedArray) -> bool:
    one, other = stored.to_numpy(), again.to_numpy()
    return np.array_equal(one, other, equal_nan=one.dtype.kind == "f")
