"""A remote client computes what a simulated client of its name computes, bit by bit."""

from __future__ import annotations

import numpy as np
import pytest
from torch import nn

from flnb.client.ownership import as_client
from flnb.core import ClientHalf, ClientId, Local, Outcome, RunId, Work
from flnb.core.errors import DataError
from flnb.datasets import Split
from flnb.engines import SequentialEngine
from flnb.tasks import Task
from flnb.tensors import CohortSum, Update
from tests.client.coordinators import CLIENT, FakeClient, assignment, checked, play, running


def of_engine(task, model, **changes):
    """What the sequential engine says of a cohort of one."""
    work = {
        "run": RunId("run"),
        "seed": 7,
        "round": 3,
        "attempt": 0,
        "stage": "train",
        "clients": (ClientId(CLIENT),),
        "half": ClientHalf("flnb.training:local_sgd", Local(lr=0.05, momentum=0.9, batch_size=8)),
        "weighting": "examples",
    }
    engine = SequentialEngine(task)
    try:
        engine.begin(Work(**{**work, **changes}), model)
        return engine.collect()
    finally:
        engine.close()


def update_of(task, payload):
    split = 4 * task.layout.n_values
    values = np.frombuffer(payload[:split], np.float32)
    return Update(task.layout, values, np.frombuffer(payload[split:], np.int64))


@pytest.mark.parametrize("seed", [7, -5])
@pytest.mark.parametrize("federated", [False, True])
def test_an_update_is_the_one_of_a_simulated_client_of_that_name(
    task, coordinator, home, seed, federated
):
    simulated = as_client(task, ClientId(CLIENT))
    model = task.initial_model(11)
    report = of_engine(simulated, model, seed=seed, federated=federated)
    assert report.outcome.tolist() == [Outcome.ACCEPTED]

    async def scene():
        async with running(FakeClient(coordinator, task, home)):
            line = await coordinator.line()
            work = assignment(coordinator.keep(model), seed=seed % 2**64, federated=federated)
            line.say(assignment=work)
            offer = await line.hear("offer")
        envelope = checked(offer, coordinator.public)
        sums = CohortSum(task.layout)
        sums.fold(update_of(task, offer.inline), envelope.n_examples)
        ours, theirs = sums.mean(), report.sums.mean()
        assert ours.values.tobytes() == theirs.values.tobytes()
        assert ours.integers.tobytes() == theirs.integers.tobytes()
        assert sums.total_weight == report.sums.total_weight
        assert np.float64(envelope.loss).tobytes() == report.loss.tobytes()
        sent = {metric.name: (metric.total, metric.count) for metric in envelope.metrics}
        told = {name: (pair[0][0], pair[1][0]) for name, pair in report.metrics.items()}
        assert sent == told
        assert bool(told) is federated

    play(scene)


def test_a_large_update_goes_as_the_same_bytes(wide, coordinator, home):
    model = wide.initial_model(1)
    report = of_engine(wide, model)

    async def scene():
        async with running(FakeClient(coordinator, wide, home)):
            line = await coordinator.line()
            line.say(assignment=assignment(coordinator.keep(model)))
            offer = await line.hear("offer")
            envelope = checked(offer, coordinator.public)
            count = -(-envelope.update.n_bytes // 2**18)
            assert (offer.inline, count) == (b"", 5)
            line.say(wanted={"assignment": envelope.assignment, "chunks": range(count)})
            while len(coordinator.taken) < count:
                await line.silent("offer", 0.05)
        payload = b"".join(coordinator.taken[place] for place in range(count))
        sums = CohortSum(wide.layout)
        sums.fold(update_of(wide, payload), envelope.n_examples)
        assert sums.mean().values.tobytes() == report.sums.mean().values.tobytes()

    play(scene)


def test_the_second_round_is_as_exact_as_the_first(task, coordinator, home):
    simulated = as_client(task, ClientId(CLIENT))
    model = task.initial_model(11)

    async def scene():
        async with running(FakeClient(coordinator, task, home)):
            line = await coordinator.line()
            package = coordinator.keep(model)
            for number in (3, 4):
                line.say(assignment=assignment(package, round=number))
                offer = await line.hear("offer")
                sums = CohortSum(task.layout)
                n_examples = checked(offer, coordinator.public).n_examples
                sums.fold(update_of(task, offer.inline), n_examples)
                theirs = of_engine(simulated, model, round=number).sums
                assert sums.mean().values.tobytes() == theirs.mean().values.tobytes()

    play(scene)


def task_with(split):
    x = np.arange(12, dtype=np.float32).reshape(6, 2)
    return Task(
        model=lambda: nn.Linear(2, 2),
        train=(x, np.zeros(6, np.int64)),
        split=Split.of(split),
        metrics=(),
    )


@pytest.mark.parametrize(
    ("split", "rows"),
    [
        ({CLIENT: [4, 2], "other": [0, 1]}, [4, 2]),
        ({"somebody": [5, 3, 1]}, [5, 3, 1]),
    ],
)
def test_examples_are_those_of_the_name_or_of_the_only_client(split, rows):
    given = task_with(split)
    own = as_client(given, ClientId(CLIENT))
    assert own.split.clients == (CLIENT,)
    assert own.split.indices(CLIENT).tolist() == list(rows)
    assert own.fingerprint().code == given.fingerprint().code


def test_a_name_that_is_not_in_a_split_of_several_gets_nobodys_examples():
    near = f"{CLIENT[:-1]}x"
    with pytest.raises(DataError, match="none of the 2 clients") as refused:
        as_client(task_with({near: [0, 1], "other": [2]}), ClientId(CLIENT))
    assert refused.value.hint.startswith(f"did you mean {near!r}?")
    assert "IID(clients=1)" in refused.value.hint
