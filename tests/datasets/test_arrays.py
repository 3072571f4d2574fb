"""Arrays and federated data refuse what does not fit together."""

from __future__ import annotations

import numpy as np
import pytest

from flnb.core.errors import DataError
from flnb.datasets import Arrays, FederatedData, Split


def test_inputs_and_targets_of_different_length_are_refused():
    with pytest.raises(DataError, match=r"x has shape \(3, 2\), y has shape \(2,\)"):
        Arrays(np.zeros((3, 2)), np.zeros(2))


def test_only_pixels_are_scaled():
    y = np.zeros(2, np.int64)
    pixels = Arrays(np.full((2, 4), 255, np.uint8), y)
    assert (pixels.x * pixels.scale).max() == pytest.approx(1.0)
    assert Arrays(np.zeros((2, 4), np.int8), y).scale == 1.0
    assert Arrays(np.zeros((2, 4), np.float32), y).scale == 1.0


def test_a_split_of_other_data_is_refused():
    train = Arrays(np.zeros((3, 1)), np.zeros(3, np.int64))
    split = Split.of({"anna": [0, 5]})
    with pytest.raises(DataError, match=r"names example 5.* ends at 2"):
        FederatedData(train, None, split, 1, "toy")


def test_a_repr_shows_shapes_and_never_values():
    train = Arrays(np.zeros((3, 1)), np.zeros(3, np.int64))
    data = FederatedData(train, None, Split.of({"anna": [0, 1, 2]}), 1, "toy")
    assert repr(train) == "Arrays(x=float64[3, 1], y=int64[3])"
    assert repr(data) == "<toy: 1 client · 3 examples · min/median/max 3/3/3, 0 held out>"


def test_ids_of_held_out_examples_are_one_an_example():
    train = Arrays(np.zeros((3, 1)), np.zeros(3, np.int64))
    split = Split.of({"anna": [0, 1, 2]})
    data = FederatedData(train, train, split, 1, "toy", test_ids=np.array(["b", "a", "b"]))
    assert data.test_parts == ("a", "b")
    with pytest.raises(DataError, match="2 test_ids for 3 held-out examples"):
        FederatedData(train, train, split, 1, "toy", test_ids=np.array(["b", "a"]))
    with pytest.raises(DataError, match="1 test_ids for 0 held-out examples"):
        FederatedData(train, None, split, 1, "toy", test_ids=np.array(["b"]))
