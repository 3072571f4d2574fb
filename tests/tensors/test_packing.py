"""Optimiser state as one run of bytes."""

from dataclasses import dataclass, fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from flnb.core.errors import StoreError
from flnb.tensors import pack, unpack


@dataclass(frozen=True)
class Everything:
    m: np.ndarray
    rounds: int
    counts: np.ndarray
    scale: float
    started: bool


@dataclass(frozen=True)
class Other:
    m: np.ndarray


@dataclass(frozen=True)
class Nothing:
    pass


STATES = st.builds(
    Everything,
    m=hnp.arrays(np.float32, hnp.array_shapes(min_dims=1, max_dims=3, max_side=40)),
    rounds=st.integers(-(2**63), 2**63 - 1),
    counts=hnp.arrays(np.int64, st.integers(0, 40)),
    scale=st.floats(),
    started=st.booleans(),
)


def blank(state):
    return type(state)(
        **{
            field.name: np.zeros_like(value) if isinstance(value, np.ndarray) else type(value)(0)
            for field in fields(state)
            for value in [getattr(state, field.name)]
        }
    )


@given(STATES)
def test_every_bit_and_every_type_comes_back(state):
    again = unpack(blank(state), pack(state))
    assert pack(again).tobytes() == pack(state).tobytes()
    assert again.m.tobytes() == state.m.tobytes()
    assert again.m.shape == state.m.shape
    assert [type(getattr(again, f.name)) for f in fields(again)] == [
        type(getattr(state, f.name)) for f in fields(state)
    ]


@given(STATES)
def test_packed_states_are_flat_aligned_bytes_of_one_length(state):
    packed = pack(state)
    assert packed.dtype == np.uint8
    assert packed.ctypes.data % 64 == packed.size % 64 == 0
    assert packed.size == pack(blank(state)).size


def test_a_state_without_memory_packs_too():
    assert unpack(Nothing(), pack(Nothing())) == Nothing()


def test_unpacked_arrays_are_windows_that_cannot_be_written():
    packed = pack(Other(np.ones(100, np.float32)))
    again = unpack(Other(np.zeros(100, np.float32)), packed)
    assert np.shares_memory(again.m, packed)
    with pytest.raises(ValueError, match="read-only"):
        again.m[0] = 2.0


@pytest.mark.parametrize(
    ("template", "said"),
    [
        (Other(np.zeros(3, np.float32)), r"\['m', 'float32', \[4\]\], expected .* \[3\]\]"),
        (Other(np.zeros(4, np.int64)), "'int64'"),
        (Nothing(), "Nothing"),
    ],
)
def test_a_state_of_another_shape_or_class_is_refused(template, said):
    with pytest.raises(StoreError, match=said):
        unpack(template, pack(Other(np.zeros(4, np.float32))))


@pytest.mark.parametrize("n_bytes", [0, 5, 64, 100])
def test_torn_bytes_are_refused(n_bytes):
    state = Other(np.zeros(100, np.float32))
    with pytest.raises(StoreError):
        unpack(state, pack(state)[:n_bytes])
    with pytest.raises(StoreError, match="not a packed state"):
        unpack(state, np.full(500, 255, np.uint8))


def test_a_field_that_cannot_be_packed_is_named():
    with pytest.raises(TypeError, match="'m' is float64"):
        pack(Other(np.zeros(3)))
