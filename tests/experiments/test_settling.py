"""What a killed runner left behind, taken up by the next one."""

from dataclasses import replace

import pytest

import flnb
from flnb.coordinator.cell import Cell
from flnb.core.clock import SYSTEM_CLOCK
from flnb.experiments import settling
from flnb.experiments.artefacts import Artefacts
from flnb.experiments.desk import Desk
from flnb.store import GuestLease, Outcome, StateStore
from flnb.testing.stores import sample_run
from tests.experiments.recipes import write_recipe


def settling_of(desk, say=lambda _: None):
    artefacts = Artefacts(desk.lab.store, desk.name)
    return settling.Settling(desk, artefacts, say=say, timeout_s=None, clock=SYSTEM_CLOCK)


@pytest.fixture
def left(tmp_path):
    """A desk whose only cell says running, and the lease of the kernel that executes it."""
    lab = flnb.open(tmp_path / "lab")
    study = lab.study("alpha", write_recipe(tmp_path / "r.ipynb"), {"alpha": [0.1]})
    planner = study.check()
    study._introduce(planner.recipe)
    (cell,) = planner.cells([], {})
    lab.store.state.ask_for_cells("alpha", [replace(cell, outcome=Outcome.RUNNING)])
    guest = GuestLease(lab.path, Cell("alpha", cell.key).name)
    yield Desk(lab, planner, retry=False), guest
    guest.release()
    lab.store.close()


def take_up(desk, say):
    settling_of(desk, say).take_up()
    return [cell.outcome for cell in desk.cells]


def test_a_kernel_of_the_runner_before_is_seen_to_leave(left):
    desk, guest = left
    said = []

    def say(text):
        said.append(text)
        guest.release()

    assert take_up(desk, say) == [Outcome.CUT_OFF]
    assert said == [f"waiting for kernels of the runner before: {guest.name}"]
    assert not guest.held


def test_a_kernel_that_stays_is_not_waited_for_for_ever(left, monkeypatch):
    monkeypatch.setattr(settling, "_LEAVING_S", 0.0)
    desk, guest = left
    assert take_up(desk, lambda _: None) == [Outcome.CUT_OFF]
    assert guest.held


@pytest.mark.parametrize("how", ["lost", "cut_off"])
def test_a_cell_that_does_not_end_by_itself_keeps_the_run_that_it_began(left, how):
    desk, guest = left
    (cell,) = desk.cells
    run = replace(sample_run(guest.name), study=cell.study, study_key=cell.key)
    kernel = StateStore(desk.lab.path / "state.db")
    kernel.be_guest(guest.name)
    kernel.create_run(run)
    kernel.close()
    if how == "lost":
        settling_of(desk).lost(cell, Outcome.CUT_OFF, "its worker ended with -9", 1.0)
    else:
        settling_of(desk).cut_off(cell, "interrupted")
    (row,) = desk.lab.store.state.study_cells(desk.name)
    assert (row.outcome, row.run) == (Outcome.CUT_OFF, run.name)
