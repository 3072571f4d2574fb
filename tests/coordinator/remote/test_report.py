"""Rows become one report: what arrives while others are added up comes along, up to the limit."""

import numpy as np
import pytest

from flnb.coordinator.remote import report as module
from flnb.coordinator.remote.report import arrivals, report
from flnb.coordinator.remote.work import Facts, Received
from flnb.core.messages import Outcome
from flnb.tensors import Update
from tests.coordinator.remote.test_work import LAYOUT, work


def update(value):
    return Update(
        LAYOUT,
        np.full(LAYOUT.n_values, value, np.float32),
        np.zeros(LAYOUT.n_integers, np.int64),
    )


class Arriving:
    """Open work in which one more update arrives each time one is read."""

    def __init__(self, n, value=1.0):
        self.work, self.value, self.refused = work(n), value, []
        self.arrive(0)

    def arrive(self, place):
        def read():
            if place + 1 < len(self.work.rows):
                self.arrive(place + 1)
            return update(self.value)

        key = self.work.rows[place].key
        self.work.receive(key, Received(Facts(2, 1.0, 0.5), b"d", read), 0.0)

    def report(self, limit=None):
        batches = arrivals(self.work, self.work.take(limit), limit, self.work.take)
        return report(self.work, batches, lambda key, reason: self.refused.append(key.client))


def test_what_arrives_while_others_are_added_up_is_in_the_same_report():
    found = Arriving(4).report()
    assert found.rows.tolist() == [0, 1, 2, 3]
    assert (found.sums.count, found.sums.total_weight) == (4, 8)


def test_no_more_updates_are_handed_over_than_were_asked_for():
    arriving = Arriving(4)
    assert [arriving.report(2).rows.tolist() for _ in range(2)] == [[0, 1], [2, 3]]


def test_a_report_does_not_wait_for_more_for_ever(monkeypatch):
    monkeypatch.setattr(module, "_SHOWN_EVERY_S", -1.0)
    arriving = Arriving(3)
    assert [arriving.report().rows.tolist() for _ in range(3)] == [[0], [1], [2]]


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e38])
def test_an_update_that_cannot_be_added_is_refused_and_the_others_count(value):
    arriving = Arriving(1, value)
    found = arriving.report()
    assert found.outcome.tolist() == [Outcome.REFUSED]
    assert (found.sums, arriving.refused) == (None, ["c0"])
