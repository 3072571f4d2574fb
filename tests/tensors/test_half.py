"""Half precision inside float32, against torch's own conversions."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from flnb.tensors import Layout, aligned, round_halves

HALVES = {"float16": torch.float16, "bfloat16": torch.bfloat16}


@pytest.mark.parametrize("dtype", HALVES)
@given(bits=st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=64))
def test_rounding_is_torchs_rounding_for_every_float(dtype, bits):
    layout = Layout.of([("w", (len(bits),), dtype, "parameter")])
    values = aligned(layout.n_values, np.float32)
    values[: len(bits)] = np.array(bits, np.uint32).view(np.float32)
    expected = torch.from_numpy(values.copy()).to(HALVES[dtype]).to(torch.float32).numpy()
    round_halves(layout, values)
    np.testing.assert_array_equal(values, expected)


def test_ties_go_to_even_and_only_half_tensors_are_touched():
    layout = Layout.of([("w", (2,), "bfloat16", "parameter"), ("v", (1,), "float32", "parameter")])
    values = aligned(layout.n_values, np.float32)
    tie = 1 + 2.0**-8
    values[:2] = [tie, tie + 2.0**-7]
    layout.slot("v").view(values)[:] = tie
    round_halves(layout, values)
    assert values[:2].tolist() == [1.0, 1 + 2.0**-6]
    assert layout.slot("v").view(values)[0] == np.float32(tie)


def test_half_values_are_left_as_they_are():
    layout = Layout.of([("w", (1000,), "bfloat16", "parameter")])
    values = torch.randn(layout.n_values).to(torch.bfloat16).to(torch.float32).numpy()
    before = values.copy()
    round_halves(layout, values)
    assert values.tobytes() == before.tobytes()
