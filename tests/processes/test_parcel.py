"""One object, shared by many processes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from flnb.processes import Channel, Parcel


@given(
    st.lists(
        arrays_of.arrays(
            st.sampled_from(["float32", "int64", "uint8"]), arrays_of.array_shapes(min_side=0)
        ),
        max_size=5,
    )
)
def test_every_array_comes_out_as_it_went_in(items):
    opened = Parcel.wrap(items).open()
    for before, after in zip(items, opened, strict=True):
        np.testing.assert_array_equal(before, after, strict=True)


def test_both_receivers_read_the_same_memory():
    images = np.arange(1000, dtype=np.float32).reshape(10, 10, 10)
    parcel = Parcel.wrap({"x": images})
    ours, theirs = Channel.pair()
    ours.send(parcel)
    ours.send(parcel)
    one, other = theirs.recv().open()["x"], theirs.recv().open()["x"]
    parcel.block.array("float32")[0] = -1.0
    assert one[0, 0, 0] == other[0, 0, 0] == -1.0
    assert images[0, 0, 0] == 0.0
    ours.close()
    theirs.close()


def test_the_large_arrays_are_not_in_the_pickled_bytes():
    parcel = Parcel.wrap([np.zeros(1_000_000), np.asfortranarray(np.ones((300, 200)))])
    assert len(parcel.body) < 1000
    assert parcel.block.n_bytes >= 8_480_000


def test_an_opened_array_cannot_be_changed_for_the_others():
    opened = Parcel.wrap(np.zeros(4)).open()
    with pytest.raises(ValueError, match="read-only"):
        opened[0] = 1.0
