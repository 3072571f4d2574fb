import pytest
import torch
import torch.nn.functional as F

from flnb.core import MetricSum
from flnb.core.errors import TaskError
from flnb.tasks.losses import find_loss
from flnb.tasks.metrics import find_metric, summed


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


def test_auc_counts_pairs_in_order_and_half_of_those_that_are_equal():
    outputs = torch.tensor([0.9, 0.5, 0.5, 0.3, 0.1])
    # Pairs of an ill and a healthy one: 0.9 is above all three, 0.5 above two and equal to one.
    assert find_metric("auc")(outputs, torch.tensor([1, 1, 0, 0, 0])) == MetricSum(5.5, 6)
    assert find_metric("auc")(-outputs, torch.tensor([1, 1, 0, 0, 0])) == MetricSum(0.5, 6)


def test_auc_agrees_with_scikit_learn_on_two_logits_whatever_the_scale():
    from sklearn.metrics import roc_auc_score

    draw = torch.Generator().manual_seed(3)
    logits = torch.randint(-4, 5, (90, 2), generator=draw).float()
    targets = torch.randint(0, 2, (90,), generator=draw)
    expected = roc_auc_score(targets, (logits[:, 1] - logits[:, 0]))
    for scale in (1.0, 100.0):
        given = find_metric("auc")(logits * scale, targets)
        assert given.value == pytest.approx(expected, abs=1e-12)


def test_auc_of_one_class_alone_counts_nothing_and_of_a_diverged_model_is_no_number():
    assert find_metric("auc")(torch.ones(3, 2), torch.tensor([1, 1, 1])) == MetricSum(0.0, 0)
    diverged = torch.tensor([[0.0, float("nan")], [0.0, 1.0]])
    assert torch.tensor(find_metric("auc")(diverged, torch.tensor([1, 0])).value).isnan()


def test_auc_refuses_a_model_of_three_classes():
    with pytest.raises(TaskError, match="for two classes, the model has 3 outputs"):
        find_metric("auc")(torch.zeros(4, 3), torch.tensor([0, 1, 2, 0]))


def test_a_metric_gives_one_value_an_example_or_a_sum_and_a_count():
    assert summed("own", torch.tensor([1.0, 0.0, 1.0]), 3) == MetricSum(2.0, 3)
    assert summed("own", MetricSum(5.0, 6.0), 3) == MetricSum(5.0, 6.0)
    with pytest.raises(TaskError, match="one value an example"):
        summed("own", torch.tensor(0.5), 3)
