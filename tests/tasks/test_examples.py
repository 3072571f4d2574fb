import numpy as np
import pytest
import torch
from torch.utils.data import Dataset, TensorDataset

from flnb.core.errors import DataError, TaskError
from flnb.datasets import Arrays
from flnb.tasks.examples import as_arrays, inputs, targets


class Squares(Dataset):
    def __len__(self):
        return 4

    def __getitem__(self, index):
        return torch.full((2,), index, dtype=torch.float32), index


def test_pixels_reach_the_model_between_zero_and_one():
    arrays = Arrays(np.array([[0, 51, 255]], np.uint8), np.array([1], np.uint8))
    x, y = inputs(arrays, range(1)), targets(arrays, range(1))
    assert x.dtype == torch.float32
    assert torch.allclose(x, torch.tensor([[0.0, 0.2, 1.0]]))
    assert y.dtype == torch.int64


@pytest.mark.parametrize(
    ("given", "arrives"),
    [
        ("int8", torch.int64),
        ("int64", torch.int64),
        ("float64", torch.float32),
        ("bool", torch.float32),
    ],
)
def test_codes_reach_the_model_as_int64_and_numbers_as_float32(given, arrives):
    arrays = Arrays(np.ones((3, 2), given), np.ones(3, np.float64))
    assert inputs(arrays, np.array([2, 0])).dtype == arrives
    assert targets(arrays, range(3)).dtype == torch.float32


def test_rows_come_in_the_order_asked_for_and_start_on_64_bytes():
    arrays = Arrays(np.arange(12, dtype=np.float32).reshape(6, 2), np.arange(6))
    x = inputs(arrays, np.array([5, 0, 3]))
    assert x[:, 0].tolist() == [10.0, 0.0, 6.0]
    assert x.data_ptr() % 64 == 0


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (range(3, 6), "no example 5: the rows are 0 … 3"),
        (range(2, 10), "no example 9"),
        (range(-2, 1), "no example -2"),
        (np.array([0, 4]), "no example 4"),
        (np.array([True, False, True, True]), "dtype bool, expected whole numbers"),
    ],
)
def test_rows_that_are_not_there_are_refused(rows, says):
    arrays = Arrays(np.arange(4), np.arange(4))
    for read in (inputs, targets):
        with pytest.raises(DataError, match=says):
            read(arrays, rows)


@pytest.mark.parametrize("rows", [range(1, 4, 2), range(3, -1, -1), range(4, 4), range(0)])
def test_a_range_gives_the_rows_that_it_counts(rows):
    assert targets(Arrays(np.arange(4), np.arange(4)), rows).tolist() == list(rows)


def test_a_torch_dataset_is_read_into_arrays():
    arrays = as_arrays(Squares(), "train")
    assert arrays.x.tolist() == [[0, 0], [1, 1], [2, 2], [3, 3]]
    assert arrays.y.tolist() == [0, 1, 2, 3]


def test_tensors_are_taken_without_a_copy():
    x = torch.zeros(3, 2)
    arrays = as_arrays(TensorDataset(x, torch.zeros(3)), "train")
    x[0] = 1
    assert arrays.x[0, 0] == 1


def test_a_dataset_without_a_length_is_refused():
    class Stream(Dataset):
        def __getitem__(self, index):
            return index, index

    with pytest.raises(TaskError, match="without a length"):
        as_arrays(Stream(), "train")
