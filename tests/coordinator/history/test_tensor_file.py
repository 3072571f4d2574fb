"""Exported files: read back by the library of the format, the same from any byte on."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from flnb.coordinator.history.tensor_file import _DTYPES, _PIECE_VALUES, TensorFile
from flnb.tensors import Layout, Model

FLOATING = ("float32", "float16", "bfloat16")


@pytest.fixture
def model():
    kinds = {dtype: "parameter" if dtype in FLOATING else "buffer" for dtype in _DTYPES}
    tensors = [(dtype, (3, 5), dtype, kind) for dtype, kind in kinds.items()]
    odd = [("scalar", (), "int64", "buffer"), ("empty", (0, 4), "float32", "buffer")]
    large = [("large", (_PIECE_VALUES + 3,), "bfloat16", "parameter")]
    layout = Layout.of([*tensors, *odd, *large])
    values = np.zeros(layout.n_values, np.float32)
    integers = np.zeros(layout.n_integers, np.int64)
    for slot in layout.slots:
        (values if slot.floating else integers)[slot.span] = np.arange(slot.size) % 2
    return Model(layout, values, integers)


def test_every_tensor_is_read_back_with_its_own_dtype_and_shape(model, tmp_path):
    file = TensorFile(model, {"run": "otter"})
    (tmp_path / "m").write_bytes(b"".join(file.pieces()))
    tensors = load_file(tmp_path / "m")
    assert tensors.keys() == {slot.name for slot in model.layout.slots}
    for name, tensor in tensors.items():
        slot = model.layout.slot(name)
        assert (str(tensor.dtype), tuple(tensor.shape)) == (f"torch.{slot.dtype}", slot.shape)
        np.testing.assert_array_equal(tensor.to(torch.float64).numpy(), model.tensor(name))


def test_it_goes_on_from_any_byte(model):
    file = TensorFile(model, {})
    whole = b"".join(file.pieces())
    assert len(whole) == file.n_bytes
    for after in (0, 1, 700, 2 * _PIECE_VALUES, len(whole) - 1, len(whole)):
        assert b"".join(file.pieces(after)) == whole[after:]
