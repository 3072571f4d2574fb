import functools
import random

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from flnb.core import generator
from flnb.core.errors import DataError, TaskError
from flnb.training import local, local_sgd

RATE = 0.1


def textbook(task, base, work, client):
    """The same training with a plain loop and torch's own optimiser."""
    settings = work.half.local
    module = task.module(base).train()
    start = [parameter.detach().clone() for parameter in module.parameters()]
    optimiser = torch.optim.SGD(
        module.parameters(),
        lr=settings.lr,
        momentum=settings.momentum,
        weight_decay=settings.weight_decay,
    )
    order = generator(
        work.seed, round=work.round, attempt=work.attempt, client=client, purpose="batch-order"
    )
    x, y = task.client_tensors(client)
    for _ in range(settings.epochs):
        for batch in torch.from_numpy(order.permutation(len(y))).split(settings.batch_size):
            optimiser.zero_grad()
            loss = F.cross_entropy(module(x[batch]), y[batch])
            pull = sum(
                (p - s).square().sum() for p, s in zip(module.parameters(), start, strict=True)
            )
            (loss + settings.prox_mu / 2 * pull).backward()
            if settings.clip_grad_norm:
                nn.utils.clip_grad_norm_(module.parameters(), settings.clip_grad_norm)
            optimiser.step()
    return dict(module.named_parameters())


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"momentum": 0.9},
        {"weight_decay": 0.1},
        {"prox_mu": 1.0},
        {"clip_grad_norm": 0.2},
        {"clip_grad_norm": 100.0},
        {"momentum": 0.9, "weight_decay": 0.1, "prox_mu": 1.0, "clip_grad_norm": 0.2},
    ],
)
def test_training_is_the_textbook_loop(resident, base, make_work, settings):
    # Not bit for bit: autograd's sums may be taken in another order when memory is aligned
    # otherwise, and a fused multiply-add rounds once where a loop over tensors rounds twice.
    work = make_work(epochs=3, lr=RATE, **settings)
    update = local_sgd(resident, base, work, "anna").update
    for name, expected in textbook(resident.task, base, work, "anna").items():
        trained = torch.from_numpy(base.tensor(name) + update.tensor(name))
        torch.testing.assert_close(trained, expected.detach(), rtol=1e-5, atol=1e-6)


def test_training_twice_and_after_another_client_gives_the_same_bits(resident, base, make_work):
    work = make_work(momentum=0.9)
    first = local_sgd(resident, base, work, "anna")
    local_sgd(resident, base, work, "bert")
    again = local_sgd(resident, base, work, "anna")
    assert np.array_equal(first.update.values, again.update.values)
    assert first.loss == again.loss


def test_a_fresh_process_would_give_the_same_bits(make_resident, make_work):
    results = []
    for model in (make_resident(), make_resident()):
        base = model.task.initial_model(3)
        results.append(local_sgd(model, base, make_work(), "bert").update.values)
    assert np.array_equal(*results)


@pytest.mark.parametrize("change", [{"seed": 6}, {"round": 3}, {"attempt": 1}])
def test_another_seed_round_or_attempt_draws_another_order(resident, base, make_work, change):
    was = local_sgd(resident, base, make_work(), "anna").update.values
    now = local_sgd(resident, base, make_work(**change), "anna").update.values
    assert not np.array_equal(was, now)


def test_drop_out_repeats_and_leaves_the_generator_of_torch_alone(make_resident, make_work):
    resident = make_resident(lambda: nn.Sequential(nn.Linear(6, 8), nn.Dropout(), nn.Linear(8, 3)))
    base = resident.task.initial_model(3)
    before = torch.get_rng_state()
    first, again = (local_sgd(resident, base, make_work(), "anna") for _ in range(2))
    assert np.array_equal(first.update.values, again.update.values)
    assert torch.equal(before, torch.get_rng_state())


def test_steps_are_counted_across_epochs(resident, base, make_work, monkeypatch):
    sizes = []
    measured = resident.task.loss_function
    loss = lambda outputs, targets: sizes.append(len(targets)) or measured(outputs, targets)  # noqa: E731
    monkeypatch.setitem(resident.task.__dict__, "loss_function", loss)
    local_sgd(resident, base, make_work(epochs=None, steps=6), "anna")
    assert sizes == [8, 8, 8, 1, 8, 8]


def test_each_epoch_sees_every_example_once_in_its_own_order(resident, make_work):
    rows = resident.task.data.split.indices("bert")
    settings = make_work(epochs=2, batch_size=8).half.local
    seen = [x for x, _ in local.batches(resident.task, rows, settings, generator(1))]
    first, second = torch.cat(seen[:5]), torch.cat(seen[5:])
    assert not torch.equal(first, second)
    assert torch.equal(first.sort(0).values, second.sort(0).values)


def test_batches_do_not_depend_on_how_many_are_copied_at_once(resident, make_work, monkeypatch):
    rows = resident.task.data.split.indices("bert")
    settings = make_work(epochs=2).half.local
    whole = list(local.batches(resident.task, rows, settings, generator(1)))
    monkeypatch.setattr(local, "SLAB_BYTES", 1)
    single = list(local.batches(resident.task, rows, settings, generator(1)))
    assert all(torch.equal(a[0], b[0]) for a, b in zip(whole, single, strict=True))


def test_without_a_batch_size_a_step_takes_everything(resident, base, make_work):
    work = make_work(batch_size=None, lr=1.0)
    result = local_sgd(resident, base, work, "anna")
    x, y = resident.task.client_tensors("anna")
    module = resident.task.module(base)
    F.cross_entropy(module(x), y).backward()
    bias = torch.from_numpy(result.update.tensor("2.bias").copy())
    torch.testing.assert_close(bias, -module[2].bias.grad)
    assert result.n_examples == 25


def test_training_lowers_the_loss_and_reports_its_mean(resident, base, make_work):
    once = local_sgd(resident, base, make_work(epochs=1, lr=0.3), "bert")
    often = local_sgd(resident, base, make_work(epochs=30, lr=0.3), "bert")
    assert 0 < often.loss < once.loss
    assert once.train_s > 0


def test_federated_work_measures_the_received_version(resident, base, make_work):
    result = local_sgd(resident, base, make_work(federated=True), "anna")
    x, y = resident.task.client_tensors("anna")
    outputs = resident.task.module(base)(x)
    assert result.metrics["accuracy"].total == (outputs.argmax(1) == y).sum()
    assert result.metrics["accuracy"].count == 25
    assert result.metrics["loss"].value == pytest.approx(F.cross_entropy(outputs, y).item())


def test_measuring_first_does_not_change_what_is_trained(resident, base, make_work):
    plain, measured = (
        local_sgd(resident, base, make_work(federated=federated), "anna")
        for federated in (False, True)
    )
    assert np.array_equal(plain.update.values, measured.update.values)
    assert plain.metrics == {}


def test_a_client_without_data_is_named(resident, base, make_work):
    with pytest.raises(DataError, match="'none'"):
        local_sgd(resident, base, make_work(), "none")


def test_a_loss_that_is_not_a_mean_is_refused(make_resident, make_work):
    resident = make_resident(loss=lambda outputs, y: F.cross_entropy(outputs, y, reduction="none"))
    with pytest.raises(TaskError, match=r"shape \(8,\)"):
        local_sgd(resident, resident.task.initial_model(0), make_work(), "anna")


def test_an_example_left_over_joins_the_batch_before_where_batch_norm_needs_two():
    assert local._sizes(33, 32, no_single=True) == [33]
    assert local._sizes(33, 32, no_single=False) == [32, 1]
    assert local._sizes(65, 32, no_single=True) == [32, 33]
    assert local._sizes(1, 32, no_single=True) == [1]


class Words(nn.Module):
    """An embedding whose gradient is sparse."""

    def __init__(self, *, sparse):
        super().__init__()
        self.words, self.output = nn.Embedding(9, 4, sparse=sparse), nn.Linear(4, 3)

    def forward(self, x):
        return self.output(self.words((x > 0).long()).mean(1))


def test_a_sparse_gradient_is_clipped_like_a_dense_one(make_resident, make_work):
    work = make_work(clip_grad_norm=0.01, momentum=0.5)
    updates = []
    for sparse in (True, False):
        resident = make_resident(functools.partial(Words, sparse=sparse))
        base = resident.task.initial_model(0)
        updates.append(local_sgd(resident, base, work, "anna").update.values)
    assert updates[0].any()
    assert updates[0] == pytest.approx(updates[1], abs=1e-7)


class Noisy(nn.Module):
    """Begins and trains with numbers that are not torch's."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(6, 3)
        nn.init.constant_(self.layer.weight, np.random.normal())  # noqa: NPY002  # as other people's code does

    def forward(self, x):
        return self.layer(x * random.random()) if self.training else self.layer(x)


def test_a_module_that_draws_from_numpy_and_python_gives_the_same_bits_again(
    make_resident, make_work
):
    updates = []
    for _ in range(2):
        resident = make_resident(Noisy)
        base = resident.task.initial_model(3)
        updates.append(local_sgd(resident, base, make_work(), "anna").update.values)
    assert np.array_equal(*updates)
