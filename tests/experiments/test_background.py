"""A study that goes on while its notebook does: started, looked at, stopped, waited for."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import flnb
from flnb.core.errors import RecipeError, RoundStateError, StoreError, StudyHeldError
from flnb.experiments.runner import Runner
from flnb.experiments.settling import Settling
from flnb.store import Outcome
from tests.experiments.recipes import write_recipe

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(240)]

WAITS = """
import time
from pathlib import Path
Path("begun").touch()
while not Path("go").exists():
    time.sleep(0.05)
"""


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.setenv("FLNB_PROGRESS", "off")
    lab = flnb.open(tmp_path / "lab")
    yield lab.study("alpha", write_recipe(tmp_path / "r.ipynb", WAITS), {"alpha": [0.1, 0.2]})
    lab.store.close()


def until(condition, timeout_s=120.0):
    ends_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < ends_s, "it never came true"
        time.sleep(0.02)


def test_a_started_study_goes_on_by_itself_and_is_stopped_after_what_runs(study, tmp_path):
    assert study.start() is study
    until((tmp_path / "begun").exists)
    assert study.status.counts[Outcome.RUNNING] == 1
    with pytest.raises(TimeoutError, match="still goes on"):
        study.wait(0.01)
    with pytest.raises(StudyHeldError):
        study.lab.study("alpha").run()
    study.stop()
    (tmp_path / "go").touch()
    study.wait()
    assert [cell.outcome for cell in study.cells] == [Outcome.FINISHED, Outcome.WAITING]
    assert study.interrupted
    assert not study.start().wait().interrupted
    assert [cell.outcome for cell in study.cells] == [Outcome.FINISHED] * 2


def test_a_stop_that_comes_before_the_first_cell_begins_none(study, tmp_path, monkeypatch):
    loop, may = Runner._loop, threading.Event()

    def later(self, interrupts):
        may.wait(60)
        loop(self, interrupts)

    monkeypatch.setattr(Runner, "_loop", later)
    (tmp_path / "go").touch()
    study.start().stop()
    may.set()
    study.wait()
    assert [cell.outcome for cell in study.cells] == [Outcome.WAITING] * 2


def test_what_is_stopped_at_once_goes_on_another_time(study, tmp_path):
    study.start(workers=2)
    until((tmp_path / "begun").exists)
    study.stop(now=True).wait()
    assert {cell.outcome for cell in study.cells} == {Outcome.CUT_OFF}
    study.stop()  # too late for anything


def test_what_cannot_be_executed_is_refused_by_start_itself(study, tmp_path):
    with pytest.raises(RoundStateError, match="was not started here"):
        study.wait()
    write_recipe(tmp_path / "r.ipynb", WAITS, parameters="beta: float = 0.1")
    with pytest.raises(RecipeError, match="no parameter 'alpha'"):
        study.start()


ENDS = """
import sys, time
from pathlib import Path
import flnb
study = flnb.open(sys.argv[1]).study("alpha", sys.argv[2], {"alpha": [0.1]}).start()
while not Path(sys.argv[2]).with_name("begun").exists():
    time.sleep(0.05)
"""


def test_a_process_that_ends_interrupts_what_it_started(study, tmp_path):
    arguments = [str(tmp_path / "lab"), str(tmp_path / "r.ipynb")]
    subprocess.run([sys.executable, "-c", ENDS, *arguments], check=True, timeout=120)
    cells = study.lab.store.state.study_cells("alpha")
    assert [cell.outcome for cell in cells] == [Outcome.CUT_OFF]


def descriptors():
    return len(os.listdir("/proc/self/fd"))


def break_down(*_):
    raise StoreError("the disk is full")


def test_one_that_cannot_go_on_says_so_to_whoever_looks(study, monkeypatch, caplog):
    begun = Path(study.lab.path).with_name("begun")
    monkeypatch.setattr(Runner, "_check_times", lambda _: begun.exists() and break_down())
    study.start()
    until(lambda: not study._background.goes_on)
    assert caplog.messages == ["study alpha ended: the disk is full"]
    assert study.status.note == "ended: the disk is full"
    assert repr(study).endswith("ended: the disk is full)")
    assert "the disk is full" in study._repr_mimebundle_()["text/html"]
    told = list(zip(study.df()["outcome"], study.df()["why"], strict=True))
    assert told == [("cut off", "its runner failed: the disk is full"), ("waiting", "")]
    with pytest.raises(StoreError):
        study.wait()
    monkeypatch.setattr(Runner, "_loop", lambda *_: None)
    assert study.run().status.note == ""


def test_twenty_runs_leave_no_descriptor_open_also_when_they_fail(study, monkeypatch):
    monkeypatch.setattr(Runner, "_loop", lambda *_: None)
    study.run()
    study.start().wait()
    before = descriptors()
    for _ in range(20):
        study.run()
        study.start().wait()
    assert descriptors() == before
    monkeypatch.setattr(Settling, "take_up", break_down)
    for _ in range(20):
        with pytest.raises(StoreError):
            study.start().wait()
    assert descriptors() == before
