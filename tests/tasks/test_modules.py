import pytest
import torch
from torch import nn

from flnb.core.errors import TaskError


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.read = nn.Embedding(5, 4)
        self.write = nn.Linear(4, 5, bias=False)
        self.write.weight = self.read.weight


class Neighbours(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)
        self.register_buffer("edges", torch.eye(4).to_sparse())


def test_parameters_come_before_buffers_and_integers_are_kept_apart(make_task):
    layout = make_task(lambda: nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3))).layout
    kinds = [(slot.name, slot.kind, slot.floating) for slot in layout.slots]
    assert kinds[-3:] == [
        ("1.running_mean", "buffer", True),
        ("1.running_var", "buffer", True),
        ("1.num_batches_tracked", "buffer", False),
    ]
    assert kinds[0] == ("0.weight", "parameter", True)


def test_tied_weights_are_one_tensor_and_said_to_be(make_task):
    task = make_task(Tied)
    assert task.layout.n_parameters == 20
    assert any("read.weight = write.weight" in text for text in task.summary().warnings)


def test_batch_norm_works_and_is_explained(make_task):
    task = make_task(lambda: nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3)))
    assert any("GroupNorm" in text for text in task.summary().warnings)


@pytest.mark.parametrize(
    ("model", "says"),
    [
        (lambda: nn.ReLU(), "no parameters"),
        (lambda: nn.Linear(4, 3).requires_grad_(False), "no parameters to train"),
        (lambda: nn.LazyLinear(3), "lazy"),
        (lambda: nn.Linear(4, 3).double(), "float64"),
        (lambda: nn.Linear(4, 3, dtype=torch.complex64), "complex64"),
        (lambda: nn.Linear(4, 3, device="meta"), "on meta"),
        (lambda: Neighbours(), "'edges' is sparse_coo"),
    ],
)
def test_a_model_that_cannot_be_trained_is_refused_with_the_reason(make_task, model, says):
    with pytest.raises(TaskError, match=says):
        make_task(model).summary()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_a_module_goes_to_a_flat_model_and_back_exactly(make_task, dtype):
    task = make_task(lambda: nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3)).to(dtype))
    model = task.initial_model(3)
    module = task.module(model)
    assert module[0].weight.dtype == dtype
    for name, parameter in module.named_parameters():
        assert torch.equal(parameter.float(), torch.from_numpy(model.tensor(name).copy()))
