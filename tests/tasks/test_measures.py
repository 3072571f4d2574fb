import pytest
import torch
import torch.nn.functional as F

from flnb.tasks.losses import find_loss
from flnb.tasks.metrics import find_metric


def test_accuracy_counts_right_classes_one_value_an_example():
    outputs = torch.tensor([[2.0, 1.0], [0.0, 1.0], [3.0, 1.0]])
    assert find_metric("accuracy")(outputs, torch.tensor([0, 1, 1])).tolist() == [1, 1, 0]


def test_accuracy_of_a_single_logit_asks_for_its_sign():
    outputs = torch.tensor([[2.0], [-1.0], [0.5]])
    assert find_metric("accuracy")(outputs, torch.tensor([1, 1, 1])).tolist() == [1, 0, 1]


def test_accuracy_of_a_sequence_is_the_share_of_right_places():
    outputs = F.one_hot(torch.tensor([[0, 1, 1, 0]]), 2).float().transpose(1, 2)
    assert find_metric("accuracy")(outputs, torch.tensor([[0, 1, 0, 0]])).tolist() == [0.75]


@pytest.mark.parametrize(("name", "value"), [("squared_error", 4.0), ("absolute_error", 2.0)])
def test_errors_take_targets_with_or_without_a_last_dimension(name, value):
    outputs = torch.tensor([[3.0], [0.0]])
    assert find_metric(name)(outputs, torch.tensor([1.0, 0.0])).tolist() == [value, 0.0]


def test_squared_error_as_a_loss_takes_targets_of_another_shape_without_broadcasting():
    outputs, targets = torch.tensor([[1.0], [2.0]]), torch.tensor([1.0, 4.0])
    assert find_loss("mse")(outputs, targets).item() == 2.0


def test_binary_cross_entropy_takes_class_numbers():
    outputs, targets = torch.zeros(2, 1), torch.tensor([0, 1])
    assert find_loss("binary_cross_entropy")(outputs, targets).item() == pytest.approx(
        0.6931, abs=1e-4
    )


def test_accuracy_takes_targets_with_a_last_dimension_without_comparing_each_with_each():
    outputs, targets = torch.tensor([[2.0, 1.0], [0.0, 1.0], [3.0, 1.0]]), torch.tensor([0, 1, 1])
    assert find_metric("accuracy")(outputs, targets[:, None]).tolist() == [1, 1, 0]
