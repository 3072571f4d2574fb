"""Which functions a coordinator may name, and that clients of one process keep their bits."""

from __future__ import annotations

import threading

import pytest
import torch

from flnb.client.ownership import prepared
from flnb.client.trainer import TURN, LocalTrainer, allowed_half
from flnb.core import ClientHalf, ClientId, Local, RunId, Work
from flnb.core.errors import TaskError
from flnb.tensors import CohortSum
from flnb.training import local_sgd
from tests.client.test_bits import of_engine
from tests.engines.cohorts import make_task

OWN = ("flnb.",)


@pytest.fixture(scope="module")
def task():
    """Of several clients."""
    return make_task()


def own_half(resident, base, work, client):
    """A half of a package that is not flnb."""
    return local_sgd(resident, base, work, client)


threads_seen = []


def half_that_counts_threads(resident, base, work, client):
    threads_seen.append(torch.get_num_threads())
    return local_sgd(resident, base, work, client)


class Callable:
    def __call__(self, *_):
        raise AssertionError("not a function")


an_object = Callable()
taken_from_elsewhere = threading.settrace


def half(entry):
    return ClientHalf(entry, Local())


def test_a_half_of_flnb_may_be_run():
    assert allowed_half(half("flnb.training:local_sgd"), OWN) is local_sgd


@pytest.mark.parametrize(
    "entry",
    [
        "os:system",
        "shutil:rmtree",
        "flnbx.training:local_sgd",
        "flnb.store.disk:shutil.rmtree",
        "flnb.store.disk:free_bytes.__globals__",
        "flnb.tasks.task:Task.fingerprint",
        "flnb.training.local",
        "flnb.training.local:",
        "flnb.client.state:fcntl",
        "flnb.client.hand:Hand",
        "flnb.client.backoff:asyncio",
        "flnb.coordinator.loop:Coroutine",
        "flnb.tensors.spool:sha256",
        "flnb.client.session:suppress",
        "flnb.client.ownership:dataclass",
        f"{__name__}:own_half",
        "flnb.training:no_such_half",
        "flnb.no_such_room:local_sgd",
    ],
)
def test_nothing_else_may_be_run(entry):
    with pytest.raises(TaskError):
        allowed_half(half(entry), OWN)


@pytest.mark.parametrize("prefix", [f"{__name__}.", __name__, __name__.partition(".")[0]])
def test_the_owner_of_a_client_may_allow_more(prefix):
    assert allowed_half(half(f"{__name__}:own_half"), (*OWN, prefix)) is own_half


def test_a_name_that_only_begins_alike_is_another_module():
    with pytest.raises(TaskError, match="does not run"):
        allowed_half(half(f"{__name__}:own_half"), (*OWN, __name__[:-1]))


@pytest.mark.parametrize("name", ["an_object", "taken_from_elsewhere"])
def test_also_there_only_functions_that_are_written_there_are_run(name):
    with pytest.raises(TaskError, match="does not run"):
        allowed_half(half(f"{__name__}:{name}"), (*OWN, __name__))


def test_a_module_that_is_not_allowed_is_not_even_imported():
    import sys

    assert "this" not in sys.modules
    with pytest.raises(TaskError, match=r"runs functions of flnb\. only"):
        allowed_half(half("this:s"), OWN)
    assert "this" not in sys.modules


def work_for(name, entry="flnb.training:local_sgd"):
    return Work(
        run=RunId("run"),
        seed=7,
        round=3,
        attempt=0,
        stage="train",
        clients=(name,),
        half=ClientHalf(entry, Local(lr=0.05, momentum=0.9, batch_size=8)),
        weighting="examples",
    )


def test_training_has_one_torch_thread_whatever_the_process_has(task):
    trainer = LocalTrainer(task, (*OWN, __name__))
    work = work_for(ClientId("c000"), f"{__name__}:half_that_counts_threads")
    try:
        torch.set_num_threads(2)
        thread = threading.Thread(target=trainer, args=(task.initial_model(1), work))
        thread.start()
        thread.join()
    finally:
        torch.set_num_threads(1)
    assert threads_seen == [1]


def test_a_client_that_begins_does_not_disturb_one_that_trains(task):
    made = []
    begins = threading.Thread(target=lambda: made.append(prepared(task, ClientId("c000"))))
    with TURN:
        begins.start()
        begins.join(0.3)
        assert not made
    begins.join()
    own, about = made[0]
    assert (about.layout_hash, about.n_examples) == (task.layout.hash, 10)
    assert own.clients == {"c000": 10}


def test_clients_of_one_process_keep_their_bits(task):
    # The network has dropout, and torch has one generator for the whole process.
    model = task.initial_model(11)
    names = [ClientId("c000"), ClientId("c001"), ClientId("c005")]
    expected = {name: of_engine(task, model, clients=(name,)).sums for name in names}
    right = []

    def train(name):
        trainer = LocalTrainer(task, OWN)
        for _ in range(10):
            result = trainer(model, work_for(name))
            sums = CohortSum(task.layout)
            sums.fold(result.update, result.n_examples)
            ours, theirs = sums.mean(), expected[name].mean()
            right.append(ours.values.tobytes() == theirs.values.tobytes())

    threads = [threading.Thread(target=train, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert right == [True] * 30
