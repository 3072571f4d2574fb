"""Dealing items out to workers."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from flnb.engines.handout import Handout


def batches_of(handout: Handout) -> list[tuple[int, ...]]:
    batches = []
    while handout:
        batches.append(handout.take())
    return batches


@given(
    weights=st.lists(st.integers(1, 1000), max_size=200),
    n_workers=st.integers(1, 9),
    alone=st.sets(st.integers(0, 200)),
)
def test_every_item_is_dealt_once_and_suspects_stand_alone(weights, n_workers, alone):
    items = list(range(len(weights)))
    batches = batches_of(Handout(items, np.array(weights, np.int64), n_workers, alone))
    assert sorted(item for batch in batches for item in batch) == items
    assert all(batches)
    assert all(len(batch) == 1 for batch in batches if alone.intersection(batch))


@given(weights=st.lists(st.integers(1, 1000), min_size=1, max_size=200), n=st.integers(2, 9))
def test_no_batch_is_more_than_half_a_share_and_one_item(weights, n):
    first = Handout(range(len(weights)), np.array(weights, np.int64), n).take()
    assert sum(weights[item] for item in first[:-1]) < max(1, sum(weights) / (2 * n))


def test_the_largest_go_first():
    assert Handout([7, 8, 9], np.array([1, 9, 4]), 2).take() == (8,)


def test_a_thousand_like_clients_take_few_batches():
    assert len(batches_of(Handout(range(1000), np.ones(1000, np.int64), 4))) <= 70


def test_one_worker_gets_everything_at_once():
    assert len(batches_of(Handout(range(100), np.arange(1, 101), 1))) == 1
