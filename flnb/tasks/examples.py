"""Examples as people have them to arrays, and rows of arrays to tensors.

The arrays of a task may be read-only (they lie in memory that several processes share), so a
batch is always a copy, and the data set itself is never copied. A batch is copied into memory of
torch, which starts on 64 bytes: a linear layer gives other bits for other alignments.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, TensorDataset

from flnb.core.errors import DataError, TaskError
from flnb.datasets import Arrays

Rows = np.ndarray | range
"""Whole numbers of any width; other arrays are refused with words when rows are copied."""
_WIDEST_BYTES = 8
"""Torch has nothing wider."""


def as_arrays(source: Any, what: str) -> Arrays:
    """Read examples as people have them.

    Args:
        source: `(x, y)` of numpy arrays, tensors or anything numpy reads; a torch `Dataset` of
            pairs, which is read once from start to end; or `Arrays`.
        what: Name of the argument, for messages.

    Raises:
        TaskError: Not examples, or values that are not numbers.
        DataError: `x` and `y` differ in length.
    """
    if isinstance(source, Arrays):
        return source
    if isinstance(source, TensorDataset):
        source = source.tensors
    elif isinstance(source, Dataset):
        source = _read(source, what)
    if not isinstance(source, tuple | list) or len(source) != 2:
        raise TaskError(
            f"{what} is {type(source).__name__}, expected a pair (x, y) or a torch Dataset of pairs"
        )
    x, y = source
    return Arrays(_as_array(x, f"x of {what}"), _as_array(y, f"y of {what}"))


def inputs(arrays: Arrays, rows: Rows) -> Tensor:
    """Copy rows of `x` as a model gets them: pixels and numbers float32, codes int64.

    Raises:
        DataError: There is no such row (says which), or rows are not whole numbers.
    """
    tensor = _copied(arrays.x, rows)
    if arrays.scale != 1.0:
        return tensor.to(torch.float32).mul_(arrays.scale)
    return tensor.to(torch.int64 if arrays.x.dtype.kind in "iu" else torch.float32)


def targets(arrays: Arrays, rows: Rows) -> Tensor:
    """Copy rows of `y` as a loss gets them: whole numbers int64, all others float32.

    Raises:
        DataError: There is no such row (says which), or rows are not whole numbers.
    """
    whole = arrays.y.dtype.kind in "iub"
    return _copied(arrays.y, rows).to(torch.int64 if whole else torch.float32)


def _copied(array: np.ndarray, rows: Rows) -> Tensor:
    _check_rows(len(array), rows)
    dtype = torch.from_numpy(np.empty(0, array.dtype)).dtype
    copy = torch.empty((len(rows), *array.shape[1:]), dtype=dtype)
    if isinstance(rows, range) and rows.step == 1:
        np.copyto(copy.numpy(), array[rows.start : rows.stop])
    else:
        # Without a mode, np.take goes through a buffer of its own; there is nothing to clip any more.
        np.take(array, rows, axis=0, out=copy.numpy(), mode="clip")
    return copy


def _check_rows(n: int, rows: Rows) -> None:
    if isinstance(rows, range):
        wrong = [row for row in (*rows[:1], *rows[-1:]) if not 0 <= row < n]
    elif rows.dtype.kind not in "iu":
        raise DataError(
            f"rows are of dtype {rows.dtype}, expected whole numbers",
            hint="of a mask take np.flatnonzero(mask)",
        )
    else:
        outside = rows.size and (rows.min() < 0 or rows.max() >= n)
        wrong = rows[(rows < 0) | (rows >= n)].tolist() if outside else []
    if wrong:
        raise DataError(
            f"there is no example {wrong[0]}: the rows are 0 … {n - 1}",
            hint="a split numbers the examples of the training part from 0",
        )


def _read(dataset: Dataset[Any], what: str) -> tuple[np.ndarray, np.ndarray]:
    try:
        pairs = [dataset[index] for index in range(len(dataset))]  # type: ignore[arg-type]  # has no len in its type
    except TypeError as error:
        raise TaskError(
            f"{what} is a torch Dataset without a length or an index ({error})",
            hint="read it into arrays first",
        ) from error
    if any(not isinstance(pair, tuple | list) or len(pair) != 2 for pair in pairs):
        raise TaskError(f"{what} is a torch Dataset of something else than pairs (x, y)")
    try:
        x, y = (
            np.stack([_plain(value) for value in column]) for column in zip(*pairs, strict=True)
        )
    except ValueError as error:
        raise TaskError(f"{what} is a torch Dataset that cannot be stacked: {error}") from error
    return x, y


def _plain(value: Any) -> np.ndarray:
    if isinstance(value, Tensor):
        value = value.detach().cpu()
        value = value.float() if value.dtype == torch.bfloat16 else value  # unknown to numpy
    return np.asarray(value)


def _as_array(value: Any, what: str) -> np.ndarray:
    try:
        array = np.ascontiguousarray(_plain(value))
    except ValueError as error:
        raise TaskError(f"{what} is no array: {error}") from error
    wide = array.dtype.itemsize > _WIDEST_BYTES
    if array.dtype.kind not in "biuf" or wide or not array.dtype.isnative:
        raise TaskError(
            f"{what} is of dtype {array.dtype}, expected numbers",
            hint="turn text into class numbers or codes, and tables into one numeric array",
        )
    return array
