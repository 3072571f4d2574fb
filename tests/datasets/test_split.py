"""A split says who holds what, once each, and is quick to make."""

from __future__ import annotations

import pickle
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flnb.core.errors import DataError, NotFoundError
from flnb.datasets import IID, Split
from flnb.datasets.split import client_names


def test_each_client_gets_back_the_examples_it_was_given():
    split = Split.of({"anna": [4, 0], "bert": [], "cleo": [2]}, y=[0, 1, 1, 0, 1])
    assert [split.indices(name).tolist() for name in split] == [[4, 0], [], [2]]
    assert split.sizes.tolist() == [2, 0, 1]
    assert split.labels == ("0", "1")
    assert split.label_counts.tolist() == [[1, 1], [0, 0], [0, 1]]


@given(st.lists(st.integers(-1, 6), min_size=1, max_size=200))
def test_owners_and_indices_say_the_same(owners):
    owner = np.array(owners)
    split = Split.from_owners(owner, client_names(7), np.zeros(len(owner), int))
    for position, name in enumerate(split.clients):
        assert split.indices(name).tolist() == np.flatnonzero(owner == position).tolist()
    assert len(split.order) == np.count_nonzero(owner >= 0)


@pytest.mark.parametrize(
    ("parts", "complaint"),
    [
        ({"a": [0, 1], "b": [1]}, "example 1 is in the split 2 times"),
        ({"a": [0, 0]}, "example 0 is in the split 2 times"),
        ({"a": [-1]}, "negative index, -1"),
        ({"a": [9]}, "names example 9, y ends at 2"),
        ({"a": [True, False, True]}, "of client 'a' are bool, expected their positions"),
        ({"a": [0.5]}, "of client 'a' are float64"),
    ],
)
def test_an_impossible_split_is_refused(parts, complaint):
    with pytest.raises(DataError, match=complaint):
        Split.of(parts, y=[0, 1, 0])


def test_a_client_twice_is_refused():
    with pytest.raises(DataError, match="'a' is in the split twice"):
        Split(("a", "a"), np.array([0, 1]), np.array([0, 1, 2]))


def test_bounds_that_do_not_fit_the_examples_are_refused():
    with pytest.raises(DataError, match="bounds"):
        Split(("a", "b"), np.array([0, 1]), np.array([0, 2]))


def test_an_unknown_client_is_offered_the_nearest():
    with pytest.raises(NotFoundError, match="did you mean 'anna'"):
        Split.of({"anna": [0]}).indices("ana")


def test_equal_splits_have_equal_hashes_and_others_do_not():
    split = Split.of({"a": [0, 1], "b": [2]})
    assert split == Split.of({"a": [0, 1], "b": [2]}, y=[0, 0, 0])
    others = [{"a": [1, 0], "b": [2]}, {"a": [0], "b": [1, 2]}, {"a": [0, 1], "c": [2]}]
    assert len({split, *map(Split.of, others)}) == 4
    assert pickle.loads(pickle.dumps(split)) == split


def test_nobody_can_change_a_split():
    split = Split.of({"a": [0, 1]}, y=[0, 0])
    for array in (split.indices("a"), split.order, split.label_counts):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 7


def test_a_split_does_not_freeze_the_arrays_it_was_made_from():
    mine = np.array([0, 1])
    Split.of({"a": mine})
    Split(("a",), mine, np.array([0, 2]))
    mine[0] = 1


def test_clients_without_data_are_said():
    split = Split.of({"a": [0, 1, 2], "b": []})
    assert split.describe() == "2 clients · 3 examples · min/median/max 0/2/3 · 1 without data"
    assert Split.of({}).describe().startswith("0 clients · 0 examples")


def test_simulated_clients_sort_by_number_however_many_there_are():
    for count in (1, 10, 1000, 10_001):
        names = client_names(count)
        assert list(names) == sorted(names)
        assert len(set(names)) == count
    assert client_names(2) == ("c000", "c001")


def test_a_thousand_clients_on_sixty_thousand_examples_are_quick():
    y = np.arange(60_000) % 10
    before = time.perf_counter()
    split = IID(clients=1000).split(y)
    assert sum(len(split.indices(name)) for name in split) == 60_000
    assert len(split.hash) == 64
    # About 0.02 s on an idle core.
    assert time.perf_counter() - before < 1.0


def test_what_was_worked_out_since_is_not_sent_along():
    split = Split.of({"a": [0, 2], "b": [1]})
    assert split.hash
    sent = pickle.loads(pickle.dumps(split))
    assert not {"hash", "_positions"} & sent.__dict__.keys()
    assert sent == split


def test_false_and_true_have_names_like_any_two_classes():
    split = Split.of({"a": [0, 1]}).counted(np.array([True, False]), ("no", "yes"))
    assert split.labels == ("no", "yes")


@pytest.mark.parametrize(
    ("y", "complaint"),
    [
        ([0, 2], "2 classes have names, y goes from 0 to 2"),
        ([-1, 1], "from -1"),
        (["a", "b"], "<U1"),
    ],
)
def test_classes_without_a_name_are_refused(y, complaint):
    with pytest.raises(DataError, match=complaint):
        Split.of({"a": [0, 1]}).counted(np.array(y), ("no", "yes"))
