import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from flnb.core.errors import TaskError
from flnb.tensors import Model
from flnb.training import Resident, local_sgd


class Twice(nn.Module):
    """One layer used twice, and a weight shared by two layers."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(6, 6)
        self.again = self.inner
        self.read = nn.Linear(6, 3, bias=False)
        self.write = nn.Linear(6, 3, bias=False)
        self.write.weight = self.read.weight

    def forward(self, x):
        x = self.again(self.inner(x).tanh())
        return self.read(x) + self.write(x.relu())


class Replacing(nn.Module):
    """Puts a new tensor in the place of its buffer, as careless code does."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(6, 3)
        self.register_buffer("mean", torch.zeros(6))

    def forward(self, x):
        if self.training:
            self.mean = 0.9 * self.mean + 0.1 * x.detach().mean(0)
        return self.layer(x - self.mean)


class Partly(nn.Module):
    """A layer that no loss reaches, and a frozen one."""

    def __init__(self):
        super().__init__()
        self.used, self.unused = nn.Linear(6, 3), nn.Linear(6, 3)
        self.frozen = nn.Linear(6, 6).requires_grad_(False)

    def forward(self, x):
        return self.used(self.frozen(x))


def trained(resident, work, client="anna"):
    base = resident.task.initial_model(3)
    return base, local_sgd(resident, base, work, client).update


def test_tensors_are_views_that_start_on_64_bytes(resident):
    assert all(weight.data_ptr() % 64 == 0 for weight in resident.weights)
    for parameter, weight in zip(resident.module.parameters(), resident.weights, strict=True):
        assert parameter.data_ptr() == weight.data_ptr()


def test_what_is_loaded_and_not_trained_has_no_difference(resident, base):
    resident.load(base)
    assert not resident.delta(base).values.any()


@given(st.integers(0, 2**32), st.floats(-3, 3, width=32))
def test_the_difference_is_what_was_added(scale_seed, change):
    resident = Resident(_linear_task())
    base = resident.task.initial_model(scale_seed)
    resident.load(base)
    for weight in resident.weights:
        weight.add_(change)
    delta = resident.delta(base)
    for slot in resident.slots:
        moved = base.tensor(slot.name) + np.float32(change)
        assert np.array_equal(delta.tensor(slot.name), moved - base.tensor(slot.name))


def _linear_task():
    from flnb.datasets import IID
    from flnb.tasks import Task

    data = np.zeros((2, 3), np.float32), np.zeros(2, np.int64)
    return Task(model=lambda: nn.Linear(3, 2), train=data, split=IID(clients=1))


def test_statistics_of_batch_norm_and_its_counter_are_in_the_update(make_resident, make_work):
    resident = make_resident(lambda: nn.Sequential(nn.Linear(6, 3), nn.BatchNorm1d(3)))
    # 25 examples in batches of 5: a batch of one has no variance.
    base, update = trained(resident, make_work(epochs=2, batch_size=5))
    assert update.tensor("1.num_batches_tracked") == 10
    assert update.tensor("1.running_mean").any()
    again = local_sgd(resident, base, make_work(epochs=2, batch_size=5), "anna").update
    assert np.array_equal(update.values, again.values)
    assert np.array_equal(update.integers, again.integers)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_half_precision_is_kept_exactly(make_resident, make_work, dtype, momentum):
    model = lambda: _Half(dtype)  # noqa: E731
    resident = make_resident(model)
    base, update = trained(resident, make_work(lr=0.5, momentum=momentum))
    for name in ("layer.weight", "layer.bias"):
        new = torch.from_numpy(base.tensor(name) + update.tensor(name))
        assert torch.equal(new, new.to(dtype).float())
        assert update.tensor(name).any()
    _, again = trained(resident, make_work(lr=0.5, momentum=momentum))
    assert np.array_equal(update.values, again.values)


class _Half(nn.Module):
    def __init__(self, dtype):
        super().__init__()
        self.layer = nn.Linear(6, 3, dtype=dtype)

    def forward(self, x):
        return self.layer(x.to(self.layer.weight.dtype)).float()


def test_integer_buffers_of_any_width_go_there_and_back(make_resident):
    class Counting(nn.Linear):
        def __init__(self):
            super().__init__(6, 3)
            self.register_buffer("flag", torch.tensor([True, False]))
            self.register_buffer("count", torch.tensor([-7], dtype=torch.int16))

    resident = make_resident(Counting)
    base = resident.task.initial_model(0)
    resident.load(base)
    resident.module.count += 1
    update = resident.delta(base)
    assert update.tensor("count").tolist() == [-6]
    assert update.tensor("flag").tolist() == [1, 0]


def test_tied_weights_and_a_layer_used_twice_are_trained_as_one(make_resident, make_work):
    resident = make_resident(Twice)
    assert [slot.name for slot in resident.slots] == ["inner.weight", "inner.bias", "read.weight"]
    base, update = trained(resident, make_work(batch_size=None, lr=1.0))
    module = resident.task.module(base)
    x, y = resident.task.client_tensors("anna")
    nn.functional.cross_entropy(module(x), y).backward()
    torch.testing.assert_close(
        torch.from_numpy(update.tensor("read.weight").copy()), -module.read.weight.grad
    )


def test_a_buffer_that_a_layer_replaces_is_found_again(make_resident, make_work):
    resident = make_resident(Replacing)
    _, update = trained(resident, make_work())
    assert update.tensor("mean").any()
    _, again = trained(resident, make_work())
    assert np.array_equal(update.values, again.values)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_frozen_and_unused_parameters_stay_as_they_are(make_resident, make_work, momentum):
    _, update = trained(make_resident(Partly), make_work(momentum=momentum))
    assert update.tensor("used.weight").any()
    assert not update.tensor("unused.weight").any()
    assert not update.tensor("frozen.weight").any()


def test_gradients_shared_by_two_parameters_are_not_added_up_twice(make_resident, make_work):
    class Sum(nn.Linear):
        def __init__(self):
            super().__init__(6, 3, bias=False)
            self.left = nn.Parameter(torch.zeros(3))
            self.right = nn.Parameter(torch.zeros(3))

        def forward(self, x):
            return super().forward(x) + (self.left + self.right)

    _, update = trained(make_resident(Sum), make_work(weight_decay=0.5, momentum=0.5))
    assert np.array_equal(update.tensor("left"), update.tensor("right"))


def test_padding_stays_zero(resident, base, make_work):
    settings = make_work(momentum=0.9, weight_decay=0.1, prox_mu=0.1, clip_grad_norm=1.0)
    update = local_sgd(resident, base, settings, "anna").update
    used = np.zeros(resident.layout.n_values, bool)
    for slot in resident.layout.slots:
        used[slot.span] = True
    assert not update.values[~used].any()


def test_a_version_of_another_model_is_refused_by_the_tensor_that_differs(make_resident, base):
    other = make_resident(lambda: nn.Linear(6, 3))
    with pytest.raises(TaskError, match="weight"):
        other.load(base)


def test_a_model_that_changes_from_one_build_to_the_next_is_refused(make_resident):
    widths = iter((8, 9))
    with pytest.raises(TaskError, match="differently"):
        make_resident(lambda: nn.Linear(6, next(widths)))


def test_a_version_is_never_changed_by_training(resident, base, make_work):
    before = Model(base.layout, base.values.copy(), base.integers.copy()).sha256()
    local_sgd(resident, base, make_work(), "anna")
    assert base.sha256() == before


class Masked(nn.Module):
    """What is infinite and not trained: a mask of attention as a buffer, and one that is frozen."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(6, 3)
        self.frozen = nn.Parameter(torch.tensor([0.0, -torch.inf]), requires_grad=False)
        self.register_buffer("mask", torch.full((3, 3), -torch.inf, dtype=torch.bfloat16).triu(1))

    def forward(self, x):
        return self.layer(x) @ self.mask.float().softmax(-1) * self.frozen.softmax(0)[0]


def test_an_infinite_mask_did_not_change_and_keeps_nobody_out(make_resident, make_work):
    base, update = trained(make_resident(Masked), make_work())
    assert np.isinf(base.tensor("mask")).sum() == 3
    assert not update.check(base.layout)
    assert not update.tensor("mask").any()
    assert not update.tensor("frozen").any()
    assert update.tensor("layer.weight").any()


def test_a_weight_that_becomes_infinite_is_still_told(make_resident):
    resident = make_resident(Masked)
    base = resident.task.initial_model(3)
    resident.load(base)
    with torch.no_grad():
        resident.module.frozen.fill_(torch.inf)
    assert "first in 'frozen'" in resident.delta(base).check(base.layout)


class Expanded(nn.Module):
    """Buffers whose values share one place in memory."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(6, 3)
        self.register_buffer("scale", torch.tensor([2.0]).expand(3))
        self.register_buffer("place", torch.tensor([1], dtype=torch.int32).expand(3))

    def forward(self, x):
        return self.layer(x) * self.scale


def test_a_buffer_that_was_expanded_is_loaded_like_any_other(make_resident, make_work):
    resident = make_resident(Expanded)
    base, update = trained(resident, make_work())
    assert update.tensor("layer.weight").any()
    assert update.tensor("place").tolist() == [1, 1, 1]
    assert resident.task.module(base).scale.tolist() == [2.0, 2.0, 2.0]
