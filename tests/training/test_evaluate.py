import math

import numpy as np
import pytest
import torch
from torch import nn

from flnb.core import MetricSum
from flnb.core.errors import TaskError
from flnb.datasets import Split, own
from flnb.tasks import task as task_module
from flnb.training import combine_blocks, evaluate_block, local_sgd


def measured(resident, model, blocks=None):
    blocks = blocks or resident.task.test_blocks()
    return combine_blocks([evaluate_block(resident, model, block) for block in blocks])


def test_blocks_add_up_to_what_the_whole_gives(resident, base, monkeypatch):
    whole = measured(resident, base)
    monkeypatch.setattr(task_module, "BLOCK_EXAMPLES", 7)
    parts = measured(resident, base)
    assert len(resident.task.test_blocks()) == 9
    assert whole["accuracy"] == parts["accuracy"]
    assert whole["loss"].value == pytest.approx(parts["loss"].value, rel=1e-6)


def test_two_workers_measure_the_same_bits_as_one(make_resident, base, monkeypatch):
    monkeypatch.setattr(task_module, "BLOCK_EXAMPLES", 7)
    workers = make_resident(), make_resident()
    blocks = workers[0].task.test_blocks()
    shared = [evaluate_block(workers[i % 2], base, block) for i, block in enumerate(blocks)]
    assert combine_blocks(shared) == measured(workers[0], base)


def test_measuring_neither_trains_nor_updates_statistics(make_resident):
    resident = make_resident(lambda: nn.Sequential(nn.Linear(6, 3), nn.BatchNorm1d(3)))
    base = resident.task.initial_model(0)
    measured(resident, base)
    delta = resident.delta(base)
    assert not delta.values.any()
    assert not delta.integers.any()


def test_drop_out_is_off_while_measuring_and_on_again_while_training(make_resident, make_work):
    resident = make_resident(lambda: nn.Sequential(nn.Linear(6, 3), nn.Dropout(0.9)))
    base = resident.task.initial_model(0)
    before = local_sgd(resident, base, make_work(), "anna").update.values
    assert measured(resident, base) == measured(resident, base)
    assert np.array_equal(before, local_sgd(resident, base, make_work(), "anna").update.values)


def noisy(outputs, targets):
    return torch.rand(len(targets))


def test_a_metric_that_draws_gives_the_same_whatever_the_process_did(make_resident, make_work):
    resident = make_resident(metrics=(noisy,))
    base, work = resident.task.initial_model(0), make_work(federated=True)
    central, federated = (
        measured(resident, base),
        local_sgd(resident, base, work, "anna").metrics,
    )
    torch.rand(7)
    assert measured(resident, base) == central
    assert local_sgd(resident, base, work, "anna").metrics == federated
    for other in ({"round": 3}, {"attempt": 1}, {"seed": 6}):
        work = make_work(federated=True, **other)
        assert local_sgd(resident, base, work, "anna").metrics["noisy"] != federated["noisy"]


def test_blocks_draw_other_numbers_and_leave_the_generator_as_it_was(make_resident, monkeypatch):
    monkeypatch.setattr(task_module, "BLOCK_EXAMPLES", 30)
    resident = make_resident(metrics=(noisy,))
    base, before = resident.task.initial_model(0), torch.get_rng_state()
    first, second = (evaluate_block(resident, base, b) for b in resident.task.test_blocks())
    assert first["noisy"] != second["noisy"]
    assert torch.equal(torch.get_rng_state(), before)


def test_a_metric_of_your_own_is_measured_under_its_name(make_resident):
    def confident(outputs, targets):
        return (outputs.softmax(1).amax(1) > 0.5).float()

    resident = make_resident(metrics=("accuracy", confident))
    sums = measured(resident, resident.task.initial_model(0))
    assert set(sums) == {"loss", "accuracy", "confident"}
    assert sums["confident"].count == 60


def test_a_metric_that_gives_a_mean_is_refused(make_resident):
    def mean(outputs, targets):
        return torch.tensor(0.5)

    resident = make_resident(metrics=(mean,))
    with pytest.raises(TaskError, match="one value an example"):
        measured(resident, resident.task.initial_model(0))


def test_no_blocks_give_no_metrics():
    assert combine_blocks([]) == {}


def test_sums_do_not_lose_small_values_beside_great_ones():
    blocks = [{"m": MetricSum(value, 1.0)} for value in (1e16, 1.0, -1e16)]
    assert combine_blocks(blocks)["m"] == MetricSum(1.0, 3.0)


class Caching(nn.Module):
    """Keeps a table from the first time it is asked, as rotary embeddings do."""

    def __init__(self):
        super().__init__()
        self.layer, self.table = nn.Linear(6, 3), None

    def forward(self, x):
        if self.table is None:
            self.table = torch.arange(3.0).cos()
        return self.layer(x) * self.table


def test_what_a_module_kept_while_it_was_measured_can_be_trained_with(make_resident, make_work):
    resident = make_resident(Caching)
    base = resident.task.initial_model(0)
    assert measured(resident, base)["loss"].count == 60
    assert local_sgd(resident, base, make_work(federated=True), "anna").update.values.any()


def test_a_metric_that_gives_a_plain_number_is_refused(make_resident):
    resident = make_resident(metrics=(lambda outputs, targets: 0.5,))
    with pytest.raises(TaskError, match="gave float for 60 examples"):
        measured(resident, resident.task.initial_model(0))


def test_a_loss_of_every_example_is_refused_where_it_is_measured_too(make_resident):
    resident = make_resident(loss=nn.CrossEntropyLoss(reduction="none"))
    with pytest.raises(TaskError, match=r"the loss gave shape \(60,\)"):
        measured(resident, resident.task.initial_model(0))


def test_infinities_of_both_signs_make_no_number_and_no_error():
    blocks = [{"m": MetricSum(value, 1.0)} for value in (math.inf, -math.inf)]
    assert math.isnan(combine_blocks(blocks)["m"].value)


@pytest.fixture
def of_two(arrays, make_resident):
    """Held-out examples are of two hospitals; the first 25 are of the south."""
    ids = ["south"] * 25 + ["north"] * 35
    data = own(*arrays, split=Split.of({"anna": range(60)}), test=arrays, test_ids=ids)
    return make_resident(train=None, test=None, split=None, data=data)


def test_held_out_examples_that_say_whose_they_are_are_measured_apart_too(of_two, base, arrays):
    x, y = map(torch.from_numpy, arrays)
    found = measured(of_two, base)
    right = (of_two.module(x).argmax(1) == y).float()
    assert found["accuracy_south"] == MetricSum(right[:25].sum().item(), 25)
    assert found["accuracy_north"] == MetricSum(right[25:].sum().item(), 35)
    assert of_two.task.summary().metrics == ("accuracy", "accuracy_north", "accuracy_south")


def test_parts_add_up_over_blocks_that_hold_nothing_of_some(of_two, base, monkeypatch):
    whole = measured(of_two, base)
    monkeypatch.setattr(task_module, "BLOCK_EXAMPLES", 7)
    parts = measured(of_two, base)
    assert list(parts) == list(whole)
    assert all(parts[name] == whole[name] for name in whole if name != "loss")
