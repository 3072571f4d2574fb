"""A column beside a plain array."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flnb.rounds.column import BLOCK, Column

LENGTHS = st.one_of(st.integers(1, 30), st.integers(BLOCK - 2, 3 * BLOCK + 2))


@st.composite
def changes(draw):
    """A length, and some changes: distinct rows with a value for each, or one value for all."""
    length, random = draw(LENGTHS), np.random.default_rng(draw(st.integers(0, 2**32)))
    edges = [row for row in (0, BLOCK - 1, BLOCK, 2 * BLOCK, length - 1) if row < length]
    made = []
    for _ in range(draw(st.integers(0, 6))):
        n = draw(st.integers(0, min(length, 40)))
        rows = np.unique([*random.integers(0, length, n), *edges[: draw(st.integers(0, 5))]])
        rows = random.permutation(rows).astype(np.int64)
        values = random.integers(0, 256, len(rows)).astype(np.uint8)
        made.append((rows, int(random.integers(256)) if draw(st.booleans()) else values))
    return length, made


@given(changes(), st.integers(0, 255))
def test_a_column_is_an_array(made, value):
    length, steps = made
    column, array = Column.filled(length, value), np.full(length, value, np.uint8)
    for rows, values in steps:
        column = column.set(rows, values)
        array[rows] = values
        np.testing.assert_array_equal(column.all(), array)
        np.testing.assert_array_equal(column.at(rows), array[rows])
        np.testing.assert_array_equal(column.at(rows[:1]), array[rows[:1]])
        some = int(array[-1])
        np.testing.assert_array_equal(column.where(some), np.flatnonzero(array == some))


@given(changes())
def test_old_versions_of_a_column_stay_as_they_were(made):
    length, steps = made
    columns = [Column.filled(length, 0)]
    copies = [columns[0].all()]
    for rows, values in steps:
        columns.append(columns[-1].set(rows, values))
        copies.append(columns[-1].all())
    for column, copy in zip(columns, copies, strict=True):
        np.testing.assert_array_equal(column.all(), copy)


def test_a_change_shares_the_blocks_that_it_does_not_touch():
    old = Column.filled(4 * BLOCK, 0)
    new = old.set(np.array([BLOCK + 3]), 1)
    assert [a is b for a, b in zip(old.blocks, new.blocks, strict=True)] == [
        True,
        False,
        True,
        True,
    ]


def test_nobody_can_write_into_a_column():
    for column in (Column.filled(9, 0), Column.filled(9, 0).set(np.array([1, 2]), 1)):
        with pytest.raises(ValueError, match="read-only"):
            column.blocks[0][0] = 1


def test_what_a_column_hands_out_is_a_copy():
    column = Column.filled(9, 0)
    column.all()[:] = 1
    column.at(np.array([3]))[:] = 1
    assert not column.all().any()


def test_an_empty_column_has_no_rows():
    empty = Column.filled(0, 3)
    none = np.array([], dtype=np.int64)
    assert len(empty.all()) == len(empty.where(3)) == len(empty.at(none)) == 0
    assert empty.set(none, 1) is empty
