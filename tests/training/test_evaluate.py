import numpy as np
import pytest
import torch
from torch import nn

from flnb.core import MetricSum
from flnb.core.errors import TaskError
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
