"""From rows of open work to a report: updates are added up, facts become columns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from flnb.coordinator.remote.work import Facts, Key, OpenWork, Row
from flnb.core.clock import SYSTEM_CLOCK
from flnb.core.errors import IntegrityError
from flnb.core.messages import CohortReport, MetricSum, Outcome
from flnb.tensors import CohortSum, Update, l2_norm

_SHOWN_EVERY_S = 0.25


def arrivals(
    work: OpenWork, first: list[int], limit: int | None, more: Callable[[int | None], list[int]]
) -> Iterator[list[int]]:
    """Rows that have arrived, then those that arrive while these are added up.

    A sum is twice as large as the model, and each report is journaled: one for all that come close
    together costs less than one for each. It ends in time for people to see that rows arrive.

    Args:
        work: The open work.
        first: Its rows that have arrived; not empty.
        limit: At most so many updates in all.
        more: Takes the rows that have arrived since, up to so many updates.
    """
    until_s = SYSTEM_CLOCK.monotonic_s() + _SHOWN_EVERY_S
    places = first
    while places:
        yield places
        if limit is not None:
            limit -= sum(work.rows[place].received is not None for place in places)
        if SYSTEM_CLOCK.monotonic_s() > until_s:
            return
        places = more(limit)


def report(
    work: OpenWork,
    arrived: Iterable[list[int]],
    refuse: Callable[[Key, str], None],
    into: CohortSum | None = None,
) -> CohortReport:
    """Add the updates of some rows up, and put what is known of all of them into columns.

    Args:
        work: The open work.
        arrived: Its rows, in order of arrival.
        refuse: Told of each update that must not be used, with the reason.
        into: A sum to add to; without it a new one is made.
    """
    sums, places, norms = into or CohortSum(work.layout), list[int](), list[float]()
    for some in arrived:
        places += some
        norms += [_fold(work, work.rows[place], sums, refuse) for place in some]
    rows = [work.rows[place] for place in places]
    facts = [row.received.facts if row.received else None for row in rows]
    updates = _updates(rows) if work.work.keep_updates else ()
    for row in rows:
        row.folded = True
    return CohortReport(
        rows=np.array(places, np.int64),
        outcome=np.array([row.outcome for row in rows], np.uint8),
        n_examples=np.array([one.n_examples if one else 0 for one in facts], np.int64),
        arrived_s=np.array([row.settled_s for row in rows]),
        train_s=np.array([one.train_s if one else np.nan for one in facts]),
        loss=np.array([one.loss if one else np.nan for one in facts]),
        norm=np.array(norms),
        reasons={place: work.rows[place].reason for place in places if work.rows[place].reason},
        metrics=_columns(facts),
        sums=sums if sums.count else None,
        updates=updates,
    )


def _fold(work: OpenWork, row: Row, sums: CohortSum, refuse: Callable[[Key, str], None]) -> float:
    """Add one update, if one came; one that must not be used is refused. Returns its norm."""
    if row.received is None:
        return float("nan")
    update = row.received.open()
    weight = row.received.facts.n_examples if work.work.weighting == "examples" else 1
    try:
        return sums.fold(update, weight, measure=True)
    except IntegrityError as error:
        row.outcome = Outcome.REFUSED
        row.reason = update.check(work.layout) or str(error)
        refuse(row.key, row.reason)
    return l2_norm(update.values)


def _updates(rows: Sequence[Row]) -> tuple[Update, ...]:
    """The updates that counted; large ones are mapped, so they take no memory."""
    return tuple(
        row.received.open() for row in rows if row.received and row.outcome is Outcome.ACCEPTED
    )


def _columns(facts: Sequence[Facts | None]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Federated metrics as columns; zero for whoever measured nothing."""
    nothing = MetricSum(0.0, 0.0)
    columns = {}
    for name in sorted({name for one in facts if one for name in one.metrics}):
        sums = [one.metrics.get(name, nothing) if one else nothing for one in facts]
        totals, counts = np.array([m.total for m in sums]), np.array([m.count for m in sums])
        columns[name] = (totals, counts)
    return columns
