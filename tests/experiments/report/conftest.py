"""A lab with a run of clients with odd names, that was branched, named and rolled back."""

import pytest

import flnb
from tests.ui.coordinating import plan_of, task_of


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    lab, task = flnb.open(tmp_path_factory.mktemp("reported") / "lab"), task_of()
    with flnb.Coordinator(lab) as coordinator:
        coordinator.simulate(task, drop=0.2, workers=0)
        run = coordinator.run(plan_of(6), task, name="told").wait()
        run.alias("serving", at=2)
        run.branch("other", at=3)
        run.rollback(to=5).apply(reason="<script>alert(1)</script> was poisoned")
        yield lab


@pytest.fixture
def run(lab):
    return lab.run("told")
