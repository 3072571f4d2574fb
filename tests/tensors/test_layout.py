"""How tensors lie in flat vectors."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flnb.core.errors import StoreError, TaskError
from flnb.tensors import CHUNK_VALUES, Layout

DTYPES = ["float32", "float16", "bfloat16", "int64", "int32", "uint8", "bool"]
SHAPES = st.lists(st.integers(0, 9), max_size=3).map(tuple) | st.sampled_from(
    [(CHUNK_VALUES,), (CHUNK_VALUES + 1,), (600, 600)]
)
MODELS = st.lists(
    st.tuples(SHAPES, st.sampled_from(DTYPES), st.sampled_from(["parameter", "buffer"])), max_size=8
).map(lambda tensors: [(f"t{index}", *tensor) for index, tensor in enumerate(tensors)])

NORM = [
    ("weight", (4, 3), "float32", "parameter"),
    ("running_mean", (4,), "float32", "buffer"),
    ("n", (), "int64", "buffer"),
    ("bias", (4,), "bfloat16", "parameter"),
]


@given(MODELS)
def test_tensors_never_overlap_and_start_where_they_must(tensors):
    layout = Layout.of(tensors)
    for floating, length in ((True, layout.n_values), (False, layout.n_integers)):
        slots = sorted((s for s in layout.slots if s.floating is floating), key=lambda s: s.offset)
        ends = [0, *(slot.span.stop for slot in slots)]
        assert all(slot.offset >= end for slot, end in zip(slots, ends, strict=False))
        assert all(slot.offset % 16 == 0 for slot in slots)
        assert all(s.offset % CHUNK_VALUES == 0 for s in slots if s.size > CHUNK_VALUES)
        assert length % 16 == 0
        assert length >= max(ends)


@given(MODELS)
def test_parameters_and_buffers_are_one_slice_each(tensors):
    layout = Layout.of(tensors)
    for slot in layout.slots:
        if slot.floating and slot.size:
            home = layout.parameter_span if slot.kind == "parameter" else layout.buffer_span
            assert home.start <= slot.offset < slot.span.stop <= home.stop


@given(MODELS)
def test_json_gives_the_same_layout_and_hash_back(tensors):
    layout = Layout.of(tensors)
    again = Layout.from_json(layout.to_json())
    assert again == layout
    assert again.hash == layout.hash
    assert layout.differs_from(again) == ""


def test_sizes_count_tensors_without_padding_in_their_own_dtype():
    layout = Layout.of(NORM)
    assert layout.n_parameters == 12 + 4
    assert layout.n_buffer_values == 4 + 1
    assert layout.model_bytes == 12 * 4 + 4 * 2 + 4 * 4 + 8
    assert [slot.name for slot in layout.half_slots] == ["bias"]


def test_a_view_is_the_tensor_inside_its_vector():
    layout = Layout.of(NORM)
    values = np.arange(layout.n_values, dtype=np.float32)
    view = layout.slot("weight").view(values)
    assert view.shape == (4, 3)
    assert np.shares_memory(view, values)
    assert layout.slot("n").view(np.array([7])).shape == ()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: [("weight", (4, 5), *t[0][2:]), *t[1:]], r"float32\[4, 5\].*float32\[4, 3\]"),
        (lambda t: [("weight", (4, 3), "float16", "parameter"), *t[1:]], "float16.*float32"),
        (lambda t: t[1:], "'weight' is missing"),
        (lambda t: [*t, ("extra", (2,), "float32", "parameter")], r"'extra' float32\[2\]"),
        (lambda t: t[::-1], "another order"),
    ],
)
def test_the_first_difference_is_said_in_words(change, said):
    layout, other = Layout.of(NORM), Layout.of(change(NORM))
    with pytest.raises(AssertionError, match=said):
        raise AssertionError(layout.differs_from(other))
    assert layout.hash != other.hash


@pytest.mark.parametrize(
    ("tensor", "said"),
    [
        (("w", (2,), "float64", "parameter"), r"'w' is float64\[2\].*\n.*model.float"),
        (("w", (2,), "complex64", "parameter"), "complex64"),
        (("weight", (2,), "float32", "parameter"), "twice"),
        (("w", (2,), "float32", "gradient"), "'gradient'"),
    ],
)
def test_tensors_that_cannot_be_carried_are_refused(tensor, said):
    with pytest.raises(TaskError, match=said):
        Layout.of([*NORM, tensor])


@pytest.mark.parametrize("text", ["", "[]", '{"tensors": [[1]]}', '{"tensors": []}'])
def test_json_of_something_else_is_refused(text):
    with pytest.raises(StoreError, match="not the layout"):
        Layout.from_json(text)


def test_a_layout_with_other_places_is_refused():
    text = Layout.of(NORM).to_json().replace('"n_values":48', '"n_values":64')
    with pytest.raises(StoreError, match="64 values"):
        Layout.from_json(text)
