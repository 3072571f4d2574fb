"""From rows of open work to a report: updates are added up, facts become columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from flnb.coordinator.remote.work import Facts, Key, OpenWork, Row
from flnb.core.errors import IntegrityError
from flnb.core.messages import CohortReport, MetricSum, Outcome
from flnb.tensors import CohortSum, l2_norm


def report(
    work: OpenWork, places: Sequence[int], refuse: Callable[[Key, str], None]
) -> CohortReport:
    """Add the updates of some rows up, and put what is known of all of them into columns.

    Args:
        work: The open work.
        places: Its rows, in order of arrival.
        refuse: Told of each update that must not be used, with the reason.
    """
    sums = CohortSum(work.layout)
    rows = [work.rows[place] for place in places]
    norms = [_fold(work, row, sums, refuse) for row in rows]
    facts = [row.received.facts if row.received else None for row in rows]
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
    )


def _fold(work: OpenWork, row: Row, sums: CohortSum, refuse: Callable[[Key, str], None]) -> float:
    """Add one update, if one came; one that must not be used is refused. Returns its norm."""
    if row.received is None:
        return float("nan")
    update = row.received.open()
    by_examples = work.work.weighting == "examples"
    try:
        sums.fold(update, row.received.facts.n_examples if by_examples else 1)
    except IntegrityError as error:
        row.outcome = Outcome.REFUSED
        row.reason = update.check(work.layout) or str(error)
        refuse(row.key, row.reason)
    return l2_norm(update.values)


def _columns(facts: Sequence[Facts | None]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Federated metrics as columns; zero for whoever measured nothing."""
    nothing = MetricSum(0.0, 0.0)
    columns = {}
    for name in sorted({name for one in facts if one for name in one.metrics}):
        sums = [one.metrics.get(name, nothing) if one else nothing for one in facts]
        totals, counts = np.array([m.total for m in sums]), np.array([m.count for m in sums])
        columns[name] = (totals, counts)
    return columns
