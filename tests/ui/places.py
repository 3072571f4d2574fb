"""What the tests look at: labs in every state, a coordinator that can be killed, a server of pages."""

import itertools
import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import flnb
from flnb.core.view import Status
from flnb.store import Outcome, StudyCell, StudyRecord
from tests.ui.coordinating import plan_of, task_of

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "BOKEH_RESOURCES": "server"}


class Process:
    """A process of ours that says a line when it is ready, and ends with its input."""

    def __init__(self, *arguments, log, program=(sys.executable, "-m")):
        self.log = log
        with log.open("a") as errors:
            self._process = subprocess.Popen(
                [*program, *map(str, arguments)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                cwd=ROOT,
                env=os.environ | ENVIRONMENT,
            )
        self.said = self._process.stdout.readline()
        assert self.said, log.read_text()

    @property
    def pid(self):
        return self._process.pid

    def kill(self):
        self._process.kill()
        self._process.communicate()

    def end(self):
        if self._process.poll() is None:
            self._process.communicate(timeout=60)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()


def coordinating(lab, name="running", rounds=100_000, pause_s=0.02):
    """A coordinator that holds a lab and drives a run."""
    return Process(
        "tests.ui.coordinating", lab, name, rounds, pause_s, log=lab.parent / "coordinator.log"
    )


class Pages(Process):
    """A server of pages for a lab, with a link that signs in once."""

    def __init__(self, lab, *options, module="flnb.dashboards"):
        super().__init__(module, lab, "--until-eof", *options, log=Path(lab).parent / "pages.log")
        told = json.loads(self.said)
        self.address, self.ticket = told["address"], told["ticket"]

    @property
    def link(self):
        return f"{self.address}sign-in?ticket={self.ticket}"


class Ui(Process):
    """`flnb ui` of a lab or of the file of a pass."""

    def __init__(self, target, *options, log):
        flnb_itself = (Path(sys.executable).parent / "flnb",)
        arguments = ("ui", target, "--no-browser", "--json", *options)
        super().__init__(*arguments, log=log, program=flnb_itself)
        told = json.loads(self.said)
        self.address, self.link = told["address"], told["link"]

    def end(self):
        self._process.terminate()  # a ^C is not heard by what a shell put into the background
        self._process.communicate(timeout=60)


def make_past(folder):
    """A lab of runs that rest: one is finished, one failed."""
    lab, task = flnb.open(folder), task_of()
    with flnb.Coordinator(lab) as coordinator:
        coordinator.simulate(task, drop=0.2, workers=1)
        coordinator.run(plan_of(12), task, name="finished").wait()
        failed = coordinator.run(plan_of(3), task, name="failed").wait()
    why = "round 4: the loss is not finite"
    lab.store.state.set_status(failed.id, Status.FAILED, why)
    make_study(lab)
    return folder


def make_study(lab, name="alpha", runs=("finished", "failed")):
    """Rows of a study in every state, as a runner leaves them; its runs are those that are there."""
    state, at = lab.store.state, datetime(2026, 1, 1, tzinfo=UTC)
    state.put_study(StudyRecord(name=name, notebook="alpha.ipynb", asked_for={}, code=(), created_at=at, updated_at=at))  # fmt: skip
    done = {"outcome": Outcome.FINISHED, "run": runs[0], "notebook": "studies/alpha/k0/notebook.ipynb"}  # fmt: skip
    became = (
        done, {"outcome": Outcome.FAILED, "run": runs[1], "why": "ZeroDivisionError: <b>division</b>"},
        {"outcome": Outcome.RUNNING}, {"outcome": Outcome.WAITING}, {"outcome": Outcome.OUT_OF_TIME, "why": "no answer"}, {"outcome": Outcome.CUT_OFF},
    )  # fmt: skip
    grid = itertools.product((0.1, 0.3, 1.0), ("fedavg", "<script>alert(2)</script>"))
    cells = [
        StudyCell(study=name, key=f"k{position}", position=position, parameters={"alpha": alpha, "strategy": strategy}, seconds_s=9.0, **told)
        for position, ((alpha, strategy), told) in enumerate(zip(grid, became, strict=True))
    ]  # fmt: skip
    state.ask_for_cells(name, cells)
    notebook = lab.path / done["notebook"]
    notebook.parent.mkdir(parents=True)
    notebook.write_text("{}")
