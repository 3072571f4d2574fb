"""A stop that comes before its kernel can be reached: what is executed ends all the same, as stopped."""

import time

import pytest

from flnb.experiments.crew import Worker, ready
from flnb.experiments.jobs import ENDED, RECIPE, Job
from tests.experiments.recipes import write_recipe

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(120)]


@pytest.fixture
def worker(tmp_path):
    made = Worker(tmp_path / "workers.log", {})
    yield made
    made.dismiss()
    while made.hear() is not None:
        pass
    made.wait(60.0)


def job(folder, name, **environment):
    place = folder / name
    place.mkdir()
    write_recipe(place / RECIPE, "print('executed')")
    return Job(folder=str(place), recipe=str(place / RECIPE), values={}, environment=environment)


def ended(worker):
    """How the next notebook ended, as its worker says it."""
    while True:
        assert list(ready({worker: None}, 60.0)), "the worker says nothing"
        for message in worker.hear() or pytest.fail("the worker has ended"):
            if ENDED in message:
                return message[ENDED]


def test_a_stop_before_a_kernel_is_made_is_kept_and_is_for_that_notebook_alone(worker, tmp_path):
    worker.execute(job(tmp_path, "first"))
    worker.stop()
    assert ended(worker)["ended"] == "stopped"
    worker.execute(job(tmp_path, "second"))
    assert ended(worker)["ended"] == "finished"


def test_a_stop_while_a_kernel_starts_is_no_failure(worker, tmp_path):
    booting = tmp_path / "booting"
    (tmp_path / "sitecustomize.py").write_text(
        f"import pathlib, time\npathlib.Path({str(booting)!r}).touch()\ntime.sleep(50)"
    )
    worker.execute(job(tmp_path, "slow", PYTHONPATH=str(tmp_path)))
    ends_s = time.monotonic() + 60
    while not booting.exists():
        assert time.monotonic() < ends_s, "the kernel never began to start"
        time.sleep(0.02)
    worker.stop()
    found = ended(worker)
    assert (found["ended"], found["why"], found["failed_cell"]) == ("stopped", "", None)
