"""From what is asked for to cells with keys, all of it checked before a kernel starts."""

from dataclasses import replace

import pytest

from flnb.core.errors import DataError, PlanError, RecipeError, RoundStateError
from flnb.experiments import Optuna, Recipe, StudyFile
from flnb.experiments.changing import check_size
from flnb.experiments.key import DataFingerprints
from flnb.experiments.planning import Planner, stale
from flnb.store import Outcome, StudyCell
from tests.experiments.recipes import ALPHA, write_recipe


def planner(path, **asked):
    recipe = Recipe.read(path)
    asked = StudyFile(notebook=str(path), **asked)
    return Planner("alpha", recipe, asked, DataFingerprints(path.parent))


@pytest.fixture
def recipe(tmp_path):
    return write_recipe(tmp_path / "r.ipynb", "print(alpha)")


def test_every_combination_is_a_cell_with_each_seed(recipe):
    cells = planner(recipe, grid={"alpha": [0.1, 1]}, seeds=3).cells([], {})
    assert [(cell.parameters["alpha"], cell.seed) for cell in cells] == [
        (alpha, seed) for alpha in (0.1, 1.0) for seed in range(3)
    ]
    assert len({cell.key for cell in cells}) == 6


def test_a_key_depends_on_code_parameters_seed_and_version_and_nothing_else(recipe, monkeypatch):
    def key(path=recipe, alpha=0.1, seeds=(1,)):
        return planner(path, grid={"alpha": [alpha]}, seeds=seeds).cells([], {})[0].key

    assert key() == key()
    others = {key(alpha=0.2), key(seeds=(2,))}
    others.add(key(write_recipe(recipe.with_name("other.ipynb"), "print(alpha + 1)")))
    monkeypatch.setattr("flnb.__version__", "9.9")
    others.add(key())
    monkeypatch.undo()
    monkeypatch.setenv("FLNB_SMOKE", "1")
    others.add(key())
    monkeypatch.undo()
    assert len(others | {key()}) == 6


def test_data_that_a_recipe_names_is_part_of_the_key(tmp_path):
    path = write_recipe(tmp_path / "r.ipynb", "x = 1", parameters='data: Path = "heart.csv"')
    with pytest.raises(DataError, match=r"names .*heart"):
        planner(path).cells([], {})
    (tmp_path / "heart.csv").write_text("1,2")
    before = planner(path).cells([], {})[0].key
    (tmp_path / "heart.csv").write_text("1,3")
    assert planner(path).cells([], {})[0].key != before


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"grid": {"alpa": [1]}}, "did you mean 'alpha'"),
        ({"grid": {"alpha": ["a"]}}, "alpha = 'a'"),
        ({"cells": [{"alpha": 0.1}, {"sed": 1}]}, "did you mean 'seed'"),
        ({"random": {"axes": {"alpha": ["x"]}, "n": 2}}, "alpha = 'x'"),
        ({"grid": {"seed": [1]}, "seeds": 2}, "leave one out"),
        ({"grid": {"lab": ["./other"]}}, "lab is no axis"),
    ],
)
def test_what_a_recipe_cannot_be_given_is_refused(recipe, asked, said):
    with pytest.raises(RecipeError, match=said):
        planner(recipe, **asked).check()


def test_seeds_need_a_parameter_for_them(tmp_path):
    path = write_recipe(tmp_path / "r.ipynb", parameters="alpha: float = 0.3")
    with pytest.raises(RecipeError, match="needs a parameter seed"):
        planner(path, seeds=2).check()


def test_one_study_has_one_way_of_asking(recipe):
    with pytest.raises(PlanError, match="one of grid, cells"):
        planner(recipe, grid={"alpha": [1]}, cells=[{"alpha": 2}])
    with pytest.raises(PlanError, match="did you mean 'notebook'"):
        StudyFile(notebok="r.ipynb")


def test_finished_cells_of_before_a_change_are_found_by_their_parameters(recipe):
    before = planner(recipe, grid={"alpha": [0.1, 0.2]}, seeds=1).cells([], {})
    done = replace(before[0], outcome=Outcome.FINISHED)
    write_recipe(recipe, "print(alpha)", "print('more')")
    after = planner(recipe, grid={"alpha": [0.1, 0.2]}, seeds=1).cells([done], {})
    assert stale(after, [done, before[1]], {}) == [(after[0], done)]


def test_what_was_finished_counts_for_the_default_of_a_parameter_that_is_new(recipe):
    (before,) = planner(recipe, grid={"alpha": [0.1]}, seeds=1).cells([], {})
    done = replace(before, outcome=Outcome.FINISHED)
    write_recipe(recipe, parameters=f"{ALPHA}\nmomentum: float = 0.0")
    plan = planner(recipe, grid={"alpha": [0.1], "momentum": [0.0, 0.9]}, seeds=1)
    plain, heavy = plan.cells([done], {})
    found = stale([plain, heavy], [done], plan.recipe.parameters.defaults)
    assert found == [(plain, done)]


def test_a_result_of_smoke_size_is_none_of_full_size(recipe, monkeypatch):
    monkeypatch.setenv("FLNB_SMOKE", "1")
    (small,) = planner(recipe, grid={"alpha": [0.1]}).cells([], {})
    done = replace(small, outcome=Outcome.FINISHED)
    monkeypatch.delenv("FLNB_SMOKE")
    write_recipe(recipe, "print(alpha)", "print('more')")
    (full,) = planner(recipe, grid={"alpha": [0.1]}).cells([done], {})
    assert (small.smoke, full.smoke) == (True, False)
    assert stale([full], [done], {}) == []


def test_only_what_is_left_and_finished_at_another_size_is_in_the_way_of_keeping(
    recipe, monkeypatch
):
    monkeypatch.setenv("FLNB_SMOKE", "1")
    small = planner(recipe, grid={"alpha": [0.1, 0.2]}).cells([], {})
    small = [replace(cell, outcome=Outcome.FINISHED) for cell in small]
    monkeypatch.delenv("FLNB_SMOKE")
    first, second = planner(recipe, grid={"alpha": [0.1, 0.2]}).cells([], {})
    done = replace(first, outcome=Outcome.FINISHED)
    check_size([done], [*small, done], {})
    check_size([done, second], [small[0], done], {})
    with pytest.raises(RoundStateError, match="1 finished cells were executed at smoke size"):
        check_size([done, second], [*small, done], {})


def test_of_two_results_that_only_a_parameter_of_before_tells_apart_none_is_kept(recipe):
    cells = planner(recipe, grid={"alpha": [0.1, 0.2]}, seeds=1).cells([], {})
    done = [replace(cell, outcome=Outcome.FINISHED) for cell in cells]
    write_recipe(recipe, parameters="seed: int = 0")
    (after,) = planner(recipe, seeds=1).cells(done, {})
    assert stale([after], done, {}) == []
    assert stale([after], done[:1], {}) == [(after, done[0])]


def test_of_a_large_study_each_cell_is_looked_up_and_not_compared_with_all():
    looks = []

    class Counted(str):
        __hash__ = str.__hash__

        def __eq__(self, other):
            looks.append(other)
            return str.__eq__(self, other)

    def cells(sign, **facts):
        return [
            StudyCell(
                study="s", key=f"{sign}{n}", position=n, parameters={"x": [Counted(n)]}, **facts
            )
            for n in range(400)
        ]

    planned, done = cells("now"), cells("then", outcome=Outcome.FINISHED)
    found = stale(planned, done, {})
    assert [(cell.key, before.key) for cell, before in found][:2] == [
        ("now0", "then0"),
        ("now1", "then1"),
    ]
    with pytest.raises(RoundStateError, match="400 finished cells were executed at smoke size"):
        check_size(planned, cells("then", outcome=Outcome.FINISHED, smoke=True), {})
    assert len(looks) < 400 * 10


def test_optuna_asks_for_more_when_it_knows_more(recipe):
    axes = {"alpha": {"low": 0.01, "high": 1.0, "log": True}}
    search = {"axes": axes, "n": 3, "metric": "accuracy", "ahead": 1}
    plan = planner(recipe, optuna=Optuna(**search), seeds=2)
    first = plan.cells([], {})
    assert len(first) == 2
    assert plan.cells(first, {}) == first, "what is open is waited for"
    done = [replace(cell, outcome=Outcome.FINISHED) for cell in first]
    more = plan.cells(done, {cell.key: 0.9 for cell in done})
    assert len(more) == 4
    assert [cell.key for cell in more[:2]] == [cell.key for cell in first]
