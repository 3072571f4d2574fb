import pickle
import subprocess
import sys

import cloudpickle
import numpy as np
import pytest
import torch
from torch import nn

from flnb.core.errors import DataError, TaskError
from flnb.datasets import IID, FederatedData, Split
from flnb.tasks import Task


def test_the_room_is_imported_without_torch():
    code = "import sys, flnb.tasks; assert 'torch' not in sys.modules; assert 'sklearn' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_model_of_your_own_and_arrays_make_a_task_in_one_line(task):
    assert task.layout.n_parameters == 15
    assert task.clients == {"c000": 10, "c001": 10, "c002": 10}
    assert task.split.clients == tuple(task.clients)
    assert task.summary().n_test_examples == 30
    assert task.summary().warnings == ()


def test_the_same_seed_gives_the_same_first_version_and_another_seed_another(task):
    first, again, other = (task.initial_model(seed).sha256() for seed in (7, 7, 8))
    assert first == again != other


def test_building_leaves_the_generator_of_torch_alone(task):
    before = torch.get_rng_state()
    task.initial_model(7)
    task.build()
    assert torch.equal(before, torch.get_rng_state())


def test_a_version_becomes_a_module_that_can_be_used(task):
    model = task.initial_model(7)
    module = task.module(model)
    assert not module.training
    assert np.array_equal(module.layer.weight.detach().numpy(), model.tensor("layer.weight"))


def test_a_version_of_another_model_is_refused_by_the_tensor_that_differs(task, make_task):
    other = make_task(lambda: nn.Linear(4, 2)).initial_model(0)
    with pytest.raises(TaskError, match=r"layer\.weight"):
        task.module(other)


def test_a_task_reaches_a_worker_without_its_data_in_the_pickle(make_task):
    big = np.ones((5000, 4), np.float32), np.zeros(5000, np.int64)
    task = make_task(lambda: nn.Linear(4, 3), train=big)
    task.fingerprint()
    buffers = []
    stream = cloudpickle.dumps(task, protocol=5, buffer_callback=buffers.append)
    arrived = pickle.loads(stream, buffers=[bytes(buffer.raw()) for buffer in buffers])
    assert len(stream) < 10_000
    assert "_fingerprint" not in arrived.__dict__
    assert arrived.fingerprint() == task.fingerprint()


def test_read_only_data_is_batched_without_a_warning_and_without_changing_it(make_task, arrays):
    for array in arrays:
        array.flags.writeable = False
    x, _ = make_task().client_tensors("c001")
    x.zero_()
    assert arrays[0].any()
    x, _ = make_task().test_tensors(range(5))
    x.zero_()
    assert arrays[0].any()


@pytest.mark.parametrize(("rows", "wrong"), [([0, 30], 30), ([-1, 2], -1)])
def test_an_example_that_is_not_there_is_named(task, rows, wrong):
    with pytest.raises(DataError, match=f"there is no example {wrong}: the rows are 0 … 29"):
        task.train_tensors(np.array(rows))


def test_a_task_cannot_be_changed(task):
    with pytest.raises(TaskError, match="not changed"):
        task.name = "other"


def test_showing_a_task_builds_no_module(make_task):
    def never():
        raise AssertionError("built")

    task = make_task(never)
    assert "3 clients" in repr(task)
    assert "cross_entropy" in task._repr_mimebundle_()["text/html"]


def test_a_card_shows_the_parameters_once_they_are_known(task):
    task.summary()
    assert "15" in task._repr_mimebundle_()["text/html"]


def test_blocks_of_the_held_out_part_cover_it_once(make_task):
    x, y = np.zeros((501, 4), np.float32), np.zeros(501, np.int64)
    blocks = make_task(test=(x, y)).test_blocks()
    assert [row for block in blocks for row in block] == list(range(501))
    assert make_task(test=None).test_blocks() == ()


def test_a_split_replaces_the_one_that_the_data_came_with(task):
    other = Task(model=task.model, data=task.data, split=Split.of({"all": range(30)}))
    assert other.clients == {"all": 30}
    assert isinstance(other.data, FederatedData)


def test_a_split_may_be_written_as_in_a_run_file(make_task):
    assert len(make_task(split={"kind": "iid", "clients": 5}).clients) == 5


def test_what_looks_wrong_in_a_task_is_in_its_summary(make_task):
    split = Split.of({"anna": range(30), "bert": []})
    warnings = make_task(test=None, split=split).summary().warnings
    assert any("no held-out" in warning for warning in warnings)
    assert any("1 of 2 clients" in warning for warning in warnings)


def test_a_module_that_is_already_made_is_refused_with_the_remedy(make_task):
    with pytest.raises(TaskError, match="model=Linear"):
        make_task(nn.Linear(4, 3))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"loss": "cross_entropi"}, "cross_entropy"),
        ({"metrics": ("acuracy",)}, "accuracy"),
        ({"metrics": ("accuracy", "accuracy")}, "two metrics"),
        ({"train": None}, "either data or train"),
        ({"train": np.zeros(3)}, r"pair \(x, y\)"),
        ({"train": (np.array(["a"]), np.zeros(1))}, "expected numbers"),
        ({"train": (np.zeros((1, 4), np.longdouble), np.zeros(1))}, "expected numbers"),
        ({"train": ([[1.0], [1.0, 2.0]], [0, 1])}, "x of train is no array"),
    ],
)
def test_parts_that_do_not_fit_are_refused_with_the_reason(make_task, changes, says):
    with pytest.raises(TaskError, match=says):
        make_task(**changes)


def test_arrays_of_different_length_and_a_missing_split_are_refused(make_task):
    with pytest.raises(DataError):
        make_task(train=(np.zeros((3, 4)), np.zeros(2)))
    with pytest.raises(DataError, match="split"):
        make_task(split=None)


def test_a_factory_that_gives_no_module_is_refused(make_task):
    with pytest.raises(TaskError, match="gave int"):
        make_task(lambda: 3).build()


def test_data_and_train_together_are_refused(task, arrays):
    with pytest.raises(TaskError):
        Task(model=task.model, data=task.data, train=arrays, split=IID(clients=2))


def test_a_loss_of_every_example_is_an_error_of_the_task_before_anything_runs(make_task):
    errors = make_task(loss=nn.CrossEntropyLoss(reduction="none")).summary().errors
    assert "the loss gave shape (2,)" in errors[0]


def test_a_metric_that_cannot_be_measured_is_warned_of_before_anything_runs(make_task):
    def mean(outputs, targets):
        return (outputs.argmax(1) == targets).float().mean()

    def by_numpy(outputs, targets):
        return torch.from_numpy(outputs.numpy()[:, 0])

    summary = make_task(metrics=("accuracy", mean, by_numpy, "squared_error")).summary()
    assert not summary.errors
    first, second = (text for text in summary.warnings if "metric" in text)
    assert first.startswith("on a first batch of c000 metric 'mean' gave shape () for 2 examples")
    assert "metric 'squared_error' fails: RuntimeError" in second


def test_a_model_that_comes_out_differently_each_time_is_refused(make_task):
    widths = iter(range(3, 20))
    task = make_task(lambda: nn.Linear(4, next(widths)))
    with pytest.raises(TaskError, match="comes out differently"):
        task.initial_model(0)
