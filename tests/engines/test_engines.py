"""Both engines, against each other: the same bits wherever and by however many work is done."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from flnb.core import Outcome
from flnb.core.errors import PlanError, RoundStateError, TaskError
from flnb.engines import (
    Behaviour,
    ProcessEngine,
    SequentialEngine,
    engine_for,
    simulated,
    usable_cores,
)
from flnb.tasks import Task
from flnb.tensors import CohortSum, Layout, Model
from flnb.training import local_sgd
from tests.engines.cohorts import (
    NAMES,
    SIZES,
    all_reports,
    make_task,
    rows_of_client,
    told,
    work_for,
)

BEHAVIOUR = Behaviour("lognormal", 0.2)
KINDS = ["sequential", "process"]


def make_engine(kind: str, task, **settings):
    made = SequentialEngine if kind == "sequential" else ProcessEngine
    return made(task, **settings)


def outcomes(report) -> dict[int, str]:
    return {row: Outcome(o).name for row, o in zip(report.rows, report.outcome, strict=True)}


@pytest.fixture(scope="module")
def oracle(task):
    with SequentialEngine(task, BEHAVIOUR) as engine:
        yield engine


@pytest.fixture(scope="module", params=[1, 2, 3], ids="{} workers".format)
def engine(task, request):
    with ProcessEngine(task, BEHAVIOUR, workers=request.param) as engine:
        yield engine


@pytest.mark.parametrize("limit", [None, 1, 3])
@pytest.mark.parametrize("weighting", ["examples", "equal"])
def test_reports_are_the_same_bits(oracle, engine, task, model, limit, weighting):
    work = work_for(weighting=weighting, federated=limit == 3, clients=NAMES, deadline_s=1.3)
    reports = []
    for one in (oracle, engine):
        one.begin(work, model)
        reports.append([told(report) for report in all_reports(one, limit)])
    assert reports[0] == reports[1]
    found = {outcome for report in reports[0] for outcome in report["outcome"]}
    assert found == {Outcome.ACCEPTED, Outcome.FAILED, Outcome.LOST, Outcome.LATE}


def test_rounds_on_each_others_results_are_the_same_bits(oracle, engine, task, model):
    finals = []
    for one in (oracle, engine):
        version = model
        for number in range(3):
            one.begin(work_for(round=number, clients=tuple(task.clients)), version)
            update = one.collect().sums.mean()
            version = Model(model.layout, version.values + update.values, update.integers)
        finals.append((version.sha256(), one.evaluate(version)))
    assert finals[0] == finals[1]
    assert finals[0][0] != model.sha256()


def test_measuring_in_the_middle_of_a_round_disturbs_nothing(oracle, engine, task, model):
    other = Model(model.layout, model.values * 2, model.integers)
    oracle.begin(work_for(), model)
    expected = [told(report) for report in all_reports(oracle, 2)]
    engine.begin(work_for(), model)
    reports = [told(engine.collect(2))]
    assert engine.evaluate(other) == oracle.evaluate(other) != oracle.evaluate(model)
    assert [*reports, *map(told, all_reports(engine, 2))] == expected


@pytest.mark.parametrize("kind", KINDS)
def test_a_task_that_raises_in_one_client_fails_only_there(kind):
    def look(batch):
        if batch.max() > 1000:
            raise ValueError("the words of the task")

    x = make_task().data.train.x.copy()
    x[rows_of_client(2)] = 1e4
    x[rows_of_client(4)] = np.nan
    task = make_task(x, on_input=look)
    with make_engine(kind, task) as engine:
        engine.begin(work_for(), task.initial_model(1))
        report = engine.collect()
    expected = {2: "FAILED", 4: "REFUSED"}
    assert outcomes(report) == {row: expected.get(row, "ACCEPTED") for row in range(8)}
    assert report.sums.count == 6
    assert "in look" in report.reasons[2]
    assert "the words of the task" in report.reasons[2]
    assert "flnb/training" not in report.reasons[2]
    assert "NaN or infinite" in report.reasons[4]
    assert np.isnan(report.loss[2])


@pytest.mark.parametrize("kind", KINDS)
def test_columns_hold_what_each_client_did(kind, task, model):
    with make_engine(kind, task) as engine:
        engine.begin(work_for(federated=True), model)
        report = engine.collect()
    assert report.n_examples.tolist() == list(SIZES[:8])
    assert (report.train_s > 0).all()
    assert (report.norm > 0).all()
    assert report.metrics["accuracy"][1].tolist() == list(SIZES[:8])
    assert report.sums.total_weight == sum(SIZES[:8])


@pytest.mark.parametrize("kind", KINDS)
def test_after_everything_is_reported_there_is_no_more(kind, task, model):
    with make_engine(kind, task) as engine:
        assert engine.collect() is None
        engine.begin(work_for(), model)
        assert engine.collect(3).sums.count == 3
        assert engine.collect().sums.count == 5
        assert engine.collect() is None


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_of_another_task_is_refused(kind, task):
    layout = Layout.of([("w", (3,), "float32", "parameter")])
    other = Model(layout, np.zeros(layout.n_values, np.float32), np.zeros(0, np.int64))
    with make_engine(kind, task) as engine, pytest.raises(TaskError, match="not of task 'all'"):
        engine.begin(work_for(), other)


def test_the_first_clients_take_part_and_no_more_than_there_are(task):
    with SequentialEngine(task, clients=3) as engine:
        assert dict(engine.clients) == {"c000": 10, "c001": 30, "c002": 14}
    with pytest.raises(PlanError, match=r"cannot simulate 11 clients: .* has 10"):
        SequentialEngine(task, clients=11)


def test_a_closed_engine_says_so(task, model):
    engine = SequentialEngine(task)
    engine.close()
    engine.close()
    with pytest.raises(RoundStateError, match="closed"):
        engine.begin(work_for(), model)


def test_training_here_leaves_torch_its_threads(task, model):
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    seen = []
    threads = make_task(on_input=lambda _: seen.append(torch.get_num_threads()))
    with SequentialEngine(threads) as engine:
        engine.begin(work_for(), model_of(threads, model))
        engine.collect()
    assert set(seen) == {1}
    assert torch.get_num_threads() == 2
    torch.set_num_threads(before)


def model_of(task, model):
    return Model(task.layout, model.values, model.integers)


def test_the_number_of_workers_says_which_engine(task):
    with engine_for(task, workers=0) as engine:
        assert isinstance(engine, SequentialEngine)
    with engine_for(task, slow=1.0, drop=0.1, clients=5) as engine:
        assert isinstance(engine, ProcessEngine)
        assert len(engine.worker_pids) == usable_cores()
        assert len(engine.clients) == 5
    with pytest.raises(PlanError, match="workers is at least 1"):
        engine_for(task, workers=-1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("limit", [None, 2])
def test_single_updates_are_handed_over_where_they_are_asked_for(
    kind, limit, task, model, monkeypatch
):
    monkeypatch.setattr(simulated, "KEPT_BYTES", 3 * 4 * model.layout.n_values)
    work = work_for(clients=NAMES, keep_updates=True)
    alone = {"workers": 1} if kind == "process" else {}  # who gets several clients at once
    with make_engine(kind, task, behaviour=BEHAVIOUR, **alone) as engine:
        engine.begin(work, model)
        reports = all_reports(engine, limit)
    assert max(len(report.updates) for report in reports) == (limit or 3)
    for report in reports:
        again = CohortSum(model.layout)
        accepted = report.outcome == Outcome.ACCEPTED
        for update, weight in zip(report.updates, report.n_examples[accepted], strict=True):
            again.fold(update, weight)
        if report.sums is not None:
            np.testing.assert_array_equal(again.mean().values, report.sums.mean().values)
            np.testing.assert_array_equal(again.mean().integers, report.sums.mean().integers)


@pytest.mark.parametrize("kind", KINDS)
def test_nobody_is_handed_single_updates_without_asking(kind, task, model):
    with make_engine(kind, task) as engine:
        engine.begin(work_for(), model)
        assert [report.updates for report in all_reports(engine)] == [()]


@pytest.mark.parametrize("kind", KINDS)
def test_a_metric_that_raises_is_told_in_its_own_words(kind):
    def broken(outputs, targets):
        raise ValueError("the words of the metric")

    data = make_task().data
    task = Task(model=lambda: nn.Linear(6, 3), data=data, metrics=(broken,), name="broken")
    with make_engine(kind, task) as engine, pytest.raises(TaskError, match="in broken") as caught:
        engine.evaluate(task.initial_model(0))
    assert "the words of the metric" in str(caught.value)


def answering(**changes):
    def half(resident, base, work, client):
        result = local_sgd(resident, base, work, client)
        for name, value in changes.items():
            object.__setattr__(result, name, value)  # past what checks types while tests run
        return result

    return half


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"n_examples": 10.0}, "n_examples=10.0"),
        ({"n_examples": 2**70}, "n_examples=1180591620717411303424"),
        ({"metrics": {"m": 0.5}}, "metric 'm' 0.5, expected a MetricSum"),
    ],
)
def test_a_client_half_that_gives_something_else_fails_and_says_what(monkeypatch, changes, says):
    monkeypatch.setattr("flnb.training.local_sgd", answering(**changes))
    task = make_task()
    with SequentialEngine(task) as engine:
        engine.begin(work_for(), task.initial_model(1))
        report = engine.collect()
    assert set(report.outcome) == {Outcome.FAILED}
    assert says in report.reasons[0]
