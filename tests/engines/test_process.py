"""Worker processes: deaths, cancellation, and what is left behind."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import suppress

import numpy as np
import psutil
import pytest

from flnb.core import ClientHalf, Local
from flnb.core.errors import TaskError, WorkerDiedError
from flnb.engines import ProcessEngine, SequentialEngine
from flnb.processes import ForkServer
from flnb.tasks import Task, digits
from flnb.tensors import Model
from tests.engines.cohorts import all_reports, make_task, rows_of_client, told, work_for


def marked(client: int) -> np.ndarray:
    """Inputs by which a model can tell that a client is being trained."""
    x = make_task().data.train.x.copy()
    x[rows_of_client(client)] += 1000
    return x


def test_clients_that_change_nothing_give_a_sum_of_zeros():
    task = digits(clients=4)
    half = ClientHalf("flnb.training:local_sgd", Local(lr=1e-40))
    with ProcessEngine(task, workers=2) as engine:
        engine.begin(work_for(half=half, clients=tuple(task.clients)), task.initial_model(1))
        report = engine.collect()
    assert report.sums.count == 4
    assert not report.sums.mean().values.any()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
@pytest.mark.parametrize("workers", [1, 2])
def test_the_clients_of_a_dead_worker_are_done_again(tmp_path, number, workers):
    def die_once(batch):
        if batch.max() > 500 and not (tmp_path / "died").exists():
            (tmp_path / "died").touch()
            os.kill(os.getpid(), number)

    task = make_task(marked(3), on_input=die_once)
    model, work = task.initial_model(1), work_for()
    with ProcessEngine(task, workers=workers) as engine:
        engine.begin(work, model)
        reports = [told(report) for report in all_reports(engine, 5)]
        engine.begin(work, model)
        again = [told(report) for report in all_reports(engine, 5)]
    with SequentialEngine(task) as oracle:
        oracle.begin(work, model)
        assert reports == again == [told(report) for report in all_reports(oracle, 5)]


def killed(pid):
    with suppress(ProcessLookupError):  # it died of the last shot, and nobody has noticed yet
        os.kill(pid, signal.SIGKILL)


def test_a_worker_killed_at_any_moment_changes_nothing(task, model):
    work = work_for()
    with SequentialEngine(task) as oracle:
        oracle.begin(work, model)
        expected = [told(report) for report in all_reports(oracle, 4)]
    with ProcessEngine(task, workers=2) as engine:
        for moment in np.linspace(0, 0.03, 8):
            engine.begin(work, model)
            victim = engine.worker_pids[0]
            killer = threading.Timer(moment, killed, (victim,))
            killer.start()
            reports = [told(report) for report in all_reports(engine, 4)]
            killer.join()
            assert reports == expected
        assert engine.evaluate(model)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_client_that_kills_every_worker_is_named_and_the_engine_lives_on(tmp_path, workers):
    def die(batch):
        if batch.max() > 500:
            with (tmp_path / "deaths").open("a") as file:
                file.write("x")
            os.kill(os.getpid(), signal.SIGKILL)

    task = make_task(marked(3), on_input=die)
    model = task.initial_model(1)
    with ProcessEngine(task, workers=workers) as engine:
        for deaths in (4, 8):
            engine.begin(work_for(), model)
            with pytest.raises(WorkerDiedError, match=r"^client c003: 4 workers .* by SIGKILL"):
                engine.collect()
            assert len((tmp_path / "deaths").read_text()) == deaths
        assert engine.collect() is None
        engine.begin(work_for(clients=("c001", "c002")), model)
        assert engine.collect().sums.count == 2


@pytest.mark.parametrize("kind", [SequentialEngine, ProcessEngine])
def test_cancelling_makes_collect_return_soon_and_the_next_round_is_sound(kind, tmp_path):
    def linger(_batch):
        if (tmp_path / "slow").exists():
            (tmp_path / "reached").touch()
            time.sleep(0.02)

    def cancel_when_reached():
        while not (tmp_path / "reached").exists():
            time.sleep(0.005)
        engine.cancel()

    task = make_task(on_input=linger)
    model, work = task.initial_model(1), work_for()
    with kind(task) as engine:
        engine.begin(work, model)
        expected = told(engine.collect())
        (tmp_path / "slow").touch()
        engine.begin(work, model)
        canceller = threading.Thread(target=cancel_when_reached)
        canceller.start()
        assert engine.collect() is None
        canceller.join()
        assert engine.collect() is None
        (tmp_path / "slow").unlink()
        other = Model(model.layout, model.values + 1, model.integers)
        engine.begin(work, other)  # stale answers of the cancelled round may still come
        engine.evaluate(other)
        engine.begin(work, model)
        assert told(engine.collect()) == expected


def test_an_engine_starts_at_once_and_closing_it_ends_everything(tmp_path, no_leaks):
    def hang(_batch):
        (tmp_path / "reached").touch()
        time.sleep(60)

    def close_when_reached():
        while not (tmp_path / "reached").exists():
            time.sleep(0.005)
        engine.close()

    task = make_task(on_input=hang)
    began = time.perf_counter()
    server = ForkServer.start()
    engine = ProcessEngine(task, workers=2, fork_server=server)
    assert time.perf_counter() - began < 0.3  # waits neither for imports nor for workers
    engine.begin(work_for(), task.initial_model(1))
    pids = engine.worker_pids
    closer = threading.Thread(target=close_when_reached)
    closer.start()
    assert engine.collect() is None
    closer.join()
    server.close()
    assert not any(map(psutil.pid_exists, pids))


def test_the_data_of_a_task_is_in_memory_once_however_many_workers():
    x = np.ones((200_000, 100), np.float32)  # 80 MB
    task = Task(
        model=make_task().model,
        train=(x, np.zeros(len(x), np.uint8)),
        split={"kind": "iid", "clients": 9},
    )
    with ProcessEngine(task, workers=2) as engine:
        engine.begin(work_for(clients=()), task.initial_model(1))
        for pid in engine.worker_pids:
            memory = psutil.Process(pid).memory_full_info()
            assert memory.uss < 40e6


def test_a_task_that_cannot_be_sent_or_built_says_why(task, model):
    lock = threading.Lock()
    with (
        ProcessEngine(make_task(on_input=lambda _: lock)) as engine,
        pytest.raises(TaskError, match=r"cannot be sent to worker processes: .*lock"),
    ):
        engine.begin(work_for(), model)
    here = os.getpid()

    class Moody(make_task().model):
        def __init__(self):
            if os.getpid() != here:
                raise OSError("not in this process")
            super().__init__()

    moody = Task(model=Moody, data=task.data)
    with ProcessEngine(moody, workers=1) as engine:
        engine.begin(work_for(), moody.initial_model(1))
        with pytest.raises(TaskError, match="not in this process"):
            engine.collect()


def test_a_local_training_that_there_is_not_is_refused(task, model):
    half = ClientHalf("flnb.training:none", Local())
    with (
        ProcessEngine(task, workers=1) as engine,
        pytest.raises(TaskError, match=r"no local training 'flnb.training:none'"),
    ):
        engine.begin(work_for(half=half), model)
