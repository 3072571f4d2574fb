"""What a runner is told before it begins: of measures that nobody has, of searches that end early."""

from dataclasses import replace

import pytest

import flnb
from flnb.core.errors import PlanError
from flnb.experiments import Optuna, labels
from flnb.experiments import desk as desk_module
from flnb.experiments.desk import Desk
from flnb.store import Outcome, varying
from tests.experiments.recipes import write_recipe
from tests.ui.coordinating import plan_of, task_of

pytest.importorskip("optuna")


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    lab = flnb.open(tmp_path_factory.mktemp("desk") / "lab")
    with flnb.Coordinator(lab) as coordinator:
        coordinator.simulate(task_of(), workers=0)
        coordinator.run(plan_of(1), task_of(), name="told").wait()
        yield lab


@pytest.fixture
def planner(lab, tmp_path):
    """A search one cell of which is finished, before its runner begins again."""

    def make(name, metric, n=2, **finished):
        recipe = write_recipe(tmp_path / f"{name}.ipynb")
        search = Optuna(axes={"alpha": [0.1, 0.3]}, n=n, metric=metric)
        study = lab.study(name, recipe, search)
        made = study.check()
        study._introduce(made.recipe)
        (first, *_) = made.cells([], {})
        done = replace(first, outcome=Outcome.FINISHED, **finished)
        lab.store.state.ask_for_cells(name, [done])
        return made

    return make


def test_a_measure_that_no_finished_cell_has_is_refused_with_what_there_is(lab, planner):
    with pytest.raises(PlanError, match="'acuracy', which no finished cell has") as caught:
        Desk(lab, planner("near", "acuracy", run="told"), retry=False)
    assert "did you mean 'accuracy'" in caught.value.hint
    assert "best_loss" in caught.value.hint
    with pytest.raises(PlanError) as caught:
        Desk(lab, planner("none", "accuracy"), retry=False)
    assert caught.value.hint == "they were not measured at all"


def test_a_measure_that_is_there_leads_the_search(lab, planner):
    desk = Desk(lab, planner("fine", "accuracy", run="told"), retry=False)
    assert [cell.outcome for cell in desk.cells] == [Outcome.FINISHED, Outcome.WAITING]
    assert desk.exhausted == ""


def test_a_search_with_fewer_combinations_than_it_was_to_try_says_so(lab, planner):
    desk = Desk(lab, planner("few", "accuracy", n=9, run="told"), retry=False)
    assert len(desk.cells) == 2
    assert desk.exhausted == "all 2 combinations of its axes were asked for, fewer than n = 9"


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.OUT_OF_TIME])
def test_a_cell_that_is_executed_again_is_given_to_one_worker(lab, tmp_path, outcome):
    study = lab.study(outcome.name.lower(), write_recipe(tmp_path / "r.ipynb"), {"alpha": [0.2]})
    planner = study.check()
    study._introduce(planner.recipe)
    (cell,) = planner.cells([], {})
    lab.store.state.ask_for_cells(study.name, [replace(cell, outcome=outcome)])
    assert Desk(lab, planner, retry=False).open_cells() == []
    desk = Desk(lab, planner, retry=True)
    (again,) = desk.open_cells()
    assert desk.claim(again, lambda _study: False).mine
    assert desk.open_cells() == [], "it is being executed"


def test_what_tells_cells_apart_is_looked_for_once_and_not_once_a_row(lab, tmp_path, monkeypatch):
    asked = {"alpha": [number / 1000 for number in range(500)]}
    study = lab.study("wide", write_recipe(tmp_path / "r.ipynb"), asked, seeds=4)
    looks = []

    def counted(cells):
        looks.append(len(cells))
        return varying(cells)

    for module in (labels, desk_module):
        monkeypatch.setattr(module, "varying", counted)
    lines = study.lines()
    assert (len(lines), lines[-1][0], looks) == (2000, "alpha=0.499 seed=3", [2000])

    study._introduce(study.check().recipe)
    desk = Desk(lab, study.check(), retry=False)
    assert {desk.label(cell) for cell in desk.cells} == {line[0] for line in lines}
    assert looks == [2000, 2000]


def test_a_study_that_searches_says_at_its_beginning_where_it_goes(lab, tmp_path):
    search = Optuna(axes={"alpha": [0.1, 0.3]}, n=2, metric="bytes_up")
    study = lab.study("searching", write_recipe(tmp_path / "r.ipynb"), search)
    planner = study.check()
    study._introduce(planner.recipe)
    assert study._ask(planner, "") == ["the search minimizes 'bytes_up'"]
