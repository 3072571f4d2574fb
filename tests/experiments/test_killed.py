"""Studies whose runner is killed, interrupted, or asked for twice: real processes, real training."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

import flnb
from flnb.core.errors import StudyHeldError
from flnb.experiments.opening import study_from
from flnb.store import Outcome
from tests.experiments.recipes import write_recipe

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(300)]

TRAINS = """
import flnb
P = flnb.params()
task = flnb.tasks.digits(model="mlp", split=flnb.IID(clients=4, seed=P.seed))
plan = flnb.Plan(strategy="fedavg", rounds=rounds, invite=2, commit_every=1, seed=P.seed)
coord = flnb.Coordinator(P.lab).start()
coord.simulate(task, workers=0)
run = coord.run(plan, task)
"""
ROUNDS = "SELECT round, closed_at, snapshot FROM rounds ORDER BY round"


def until(condition, timeout_s=120.0):
    ends_s = time.monotonic() + timeout_s
    while not (found := condition()):
        assert time.monotonic() < ends_s, "it never came true"
        time.sleep(0.05)
    return found


class Begun:
    """`flnb study run` in a process of its own."""

    def __init__(self, folder, recipe_cells, parameters, yaml):
        self.folder = folder
        write_recipe(folder / "r.ipynb", *recipe_cells, parameters=parameters)
        (folder / "kill.yaml").write_text(f"notebook: r.ipynb\n{yaml}")
        flnb.open(folder / "lab").store.close()
        self.process = self.start()

    def start(self):
        program = str(Path(sys.executable).with_name("flnb"))
        lab = str(self.folder / "lab")
        return subprocess.Popen(
            [program, "study", "run", str(self.folder / "kill.yaml"), "--lab", lab],
            env={**os.environ, "FLNB_PROGRESS": "lines", "OMP_NUM_THREADS": "1"},
            stdout=subprocess.DEVNULL,
            stderr=(self.folder / "said").open("ab"),
        )

    @property
    def children(self):
        return psutil.Process(self.process.pid).children(recursive=True)

    @property
    def said(self):
        return (self.folder / "said").read_text()


@pytest.fixture
def begin(tmp_path):
    begun = []

    def make(*arguments):
        begun.append(Begun(tmp_path, *arguments))
        lab = flnb.open(tmp_path / "lab")
        begun.append(lab)
        return begun[0], lab, study_from(lab, tmp_path / "kill.yaml")

    yield make
    if begun:
        begun[0].process.kill()
        begun[0].process.wait()
        begun[1].store.close()


def test_a_runner_that_was_killed_repeats_only_what_was_not_committed(begin):
    begun, lab, study = begin(
        [TRAINS, "run.wait()"], "rounds: int = 200\nseed: int = 0", "seeds: 1"
    )
    until(lambda: len(lab.sql(ROUNDS)) >= 4)
    with pytest.raises(StudyHeldError, match=str(begun.process.pid)):
        study.run()
    orphans = begun.children
    begun.process.kill()
    begun.process.wait()
    psutil.wait_procs(orphans, timeout=60)
    assert not any(one.is_running() for one in orphans), "workers notice, and so do their kernels"
    before = {row["round"]: row for row in lab.sql(ROUNDS)}
    committed = max(number for number, row in before.items() if row["snapshot"])
    assert committed < 200

    begun.process = begun.start()
    assert begun.process.wait() == 0, begun.said
    after = {row["round"]: row for row in lab.sql(ROUNDS)}
    assert sorted(after) == list(range(1, 201))
    repeated = [number for number, row in before.items() if after[number] != row]
    assert len(repeated) <= len(before) - committed
    (cell,) = study.cells
    assert (cell.outcome, cell.attempts, cell.run) == (
        Outcome.FINISHED,
        2,
        f"kill-{cell.key[:8]}",
    )


STUBBORN = "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)"
"""A kernel that is not interrupted: it is killed ten seconds after its runner."""
SLEEPS_ONCE = """
import time
from pathlib import Path
if not Path("slept").exists():
    Path("slept").touch()
    time.sleep(600)
"""


@pytest.mark.long
def test_a_runner_that_begins_at_once_waits_for_kernels_of_the_one_that_was_killed(begin):
    begun, _, study = begin(
        [f"{STUBBORN}\n{TRAINS}", SLEEPS_ONCE, "run.wait()"],
        "rounds: int = 3\nseed: int = 0",
        "seeds: 1",
    )
    until((begun.folder / "slept").exists)
    begun.process.kill()
    begun.process.wait()
    begun.process = begun.start()
    assert begun.process.wait() == 0, begun.said
    (cell,) = study.cells
    assert (cell.outcome, cell.attempts) == (Outcome.FINISHED, 2)
    assert f"waiting for kernels of the runner before: kill-{cell.key[:8]}" in begun.said


def test_a_recipe_that_forgets_to_wait_is_waited_for(begin):
    begun, lab, study = begin([TRAINS], "rounds: int = 6\nseed: int = 0", "seeds: 1")
    assert begun.process.wait() == 0, begun.said
    (row,) = study.df().to_dict("records")
    assert (row["outcome"], row["rounds"]) == ("finished", 6)
    notebook = (lab.path / row["notebook"]).read_text()
    assert "the recipe ended while" in notebook


SLEEPS = "import time\nPath(f'{folder}/begun').touch()\ntime.sleep(seconds)"


def sleepy(folder, seconds):
    source = f"from pathlib import Path\nfolder = {str(folder)!r}\n{SLEEPS}"
    return [source], f"seconds: float = {seconds}\nseed: int = 0", "seeds: 3"


def test_the_first_interrupt_finishes_what_runs_and_begins_nothing_new(begin, tmp_path):
    begun, _, study = begin(*sleepy(tmp_path, 2.0))
    until((tmp_path / "begun").exists)
    begun.process.send_signal(signal.SIGINT)
    assert begun.process.wait() == 130
    found = [cell.outcome for cell in study.cells]
    assert found == [Outcome.FINISHED, Outcome.WAITING, Outcome.WAITING]


def test_the_second_interrupt_cuts_off_what_runs(begin, tmp_path):
    begun, _, study = begin(*sleepy(tmp_path, 600.0))
    until((tmp_path / "begun").exists)
    begun.process.send_signal(signal.SIGINT)
    until(lambda: "^C again interrupts it" in begun.said)
    begun.process.send_signal(signal.SIGINT)
    assert begun.process.wait() == 130
    assert study.cells[0].outcome is Outcome.CUT_OFF


def test_a_worker_that_is_killed_leaves_a_cell_that_goes_on(begin, tmp_path):
    begun, _, study = begin(*sleepy(tmp_path, 600.0))
    until((tmp_path / "begun").exists)
    begun.process.send_signal(signal.SIGINT)  # no other cell is wanted
    until(lambda: study.status.counts[Outcome.RUNNING] == 1)
    worker = next(one for one in begun.children if "flnb.experiments.cell" in one.cmdline())
    worker.kill()
    assert begun.process.wait() == 130
    assert study.cells[0].outcome is Outcome.CUT_OFF
    assert "its worker ended with -9" in study.cells[0].why
