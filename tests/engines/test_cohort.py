"""Who is reported when, without training anybody."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flnb.core import Outcome, Work
from flnb.core.errors import NotFoundError
from flnb.engines import Behaviour
from flnb.engines.answers import Answers, no_facts
from flnb.engines.cohort import Cohort
from flnb.tensors import CohortSum, Layout, Update, aligned
from tests.engines.cohorts import work_for

LAYOUT = Layout.of([("w", (1,), "float32", "parameter")])
NAMES = tuple(f"c{i:02}" for i in range(30))
POPULATION = dict.fromkeys(NAMES, 5)


def work(**changes) -> Work:
    return work_for(clients=NAMES, **changes)


def play(cohort: Cohort, limit: int | None, failing=()) -> list:
    """Answer for the clients and collect all reports."""
    reports = []
    while True:
        sums = CohortSum(LAYOUT)
        while len(rows := cohort.wanted(limit)):
            facts = no_facts(len(rows))
            facts["outcome"] = [
                Outcome.FAILED if row in failing else Outcome.ACCEPTED for row in rows
            ]
            cohort.note(Answers(rows, facts))
            for _ in range(np.count_nonzero(facts["outcome"] == Outcome.ACCEPTED)):
                sums.fold(Update(LAYOUT, aligned(LAYOUT.n_values, np.float32), aligned(0, int)), 1)
        if (report := cohort.report(limit, sums)) is None:
            return reports
        reports.append(report)


@given(
    limit=st.none() | st.integers(1, 12),
    failing=st.sets(st.integers(0, 29)),
    drop=st.floats(0, 0.9),
    deadline=st.none() | st.floats(0.1, 3),
    seed=st.integers(0, 99),
)
def test_every_row_is_reported_once_in_order_of_arrival(limit, failing, drop, deadline, seed):
    asked = work(seed=seed, deadline_s=deadline)
    reports = play(Cohort(asked, Behaviour("lognormal", drop), POPULATION), limit, failing)
    arrived = np.concatenate([report.arrived_s for report in reports])
    assert sorted(np.concatenate([report.rows for report in reports])) == list(range(30))
    assert (np.diff(arrived) >= 0).all()
    for report in reports:
        accepted = report.outcome == Outcome.ACCEPTED
        assert accepted.sum() <= (limit or 30)
        assert accepted.sum() == (report.sums.count if report.sums else 0)
    for report in reports[:-1]:  # a report ends with the last update asked for
        assert report.outcome[-1] == Outcome.ACCEPTED


def test_replacements_are_found_for_those_that_fail():
    (first, *_) = play(Cohort(work(), Behaviour(), POPULATION), 4, failing={0, 2, 3})
    assert first.rows.tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert first.sums.count == 4


def test_whoever_is_later_than_the_deadline_is_reported_late_and_not_trained():
    cohort = Cohort(work(deadline_s=1.0), Behaviour("lognormal"), POPULATION)
    wanted = cohort.wanted(None)
    (report,) = play(cohort, None)
    late = report.rows[report.outcome == Outcome.LATE]
    assert 5 < len(late) < 25
    assert (report.arrived_s[report.outcome == Outcome.LATE] > 1.0).all()
    assert not set(late) & set(wanted)


def test_a_client_without_data_fails_with_a_reason():
    (report,) = play(Cohort(work(), Behaviour(), {**POPULATION, "c03": 0}), None)
    assert report.outcome[3] == Outcome.FAILED
    assert report.reasons == {3: "client c03 has no data: the split gives it 0 examples"}


def test_a_client_that_there_is_not_is_refused_with_the_nearest_name():
    with pytest.raises(NotFoundError, match="did you mean"):
        Cohort(work(), Behaviour(), dict.fromkeys(NAMES[:-1], 5))


def test_equally_fast_clients_answer_in_the_order_of_the_cohort():
    names = tuple(f"c{i:03}" for i in range(500))
    cohort = Cohort(work_for(clients=names), Behaviour(1.0), dict.fromkeys(names, 5))
    assert cohort.wanted(None).tolist() == list(range(500))
