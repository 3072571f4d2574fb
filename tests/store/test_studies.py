"""Studies in the state database: a key counts once, whichever study asks for it."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from flnb.core.errors import NotFoundError
from flnb.store import Outcome, StateStore, StudyCell, StudyRecord

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def state(tmp_path):
    store = StateStore(tmp_path / "state.db")
    yield store
    store.close()


def ask(state, study, *keys, only=True):
    state.put_study(
        StudyRecord(
            name=study,
            notebook="recipe.ipynb",
            asked_for={"grid": {}},
            code=("aa", "bb"),
            created_at=NOW,
            updated_at=NOW,
        )
    )
    cells = [
        StudyCell(study=study, key=key, position=place, parameters={"alpha": 0.3}, seed=place)
        for place, key in enumerate(keys)
    ]
    state.ask_for_cells(study, cells, only=only)
    return cells


def finish(state, study, key):
    cell = state.claim_cell(study, key, lambda _: True).cell
    state.put_cell(replace(cell, outcome=Outcome.FINISHED, run=f"{study}-{key}", seconds_s=2.0))


def test_what_was_asked_for_is_read_back(state):
    asked = ask(state, "alpha", "k1", "k2")
    assert state.study_cells("alpha") == asked
    assert state.study("alpha").code == ("aa", "bb")
    with pytest.raises(NotFoundError, match="did you mean 'alpha'"):
        state.study("alpa")


def test_a_finished_cell_stays_when_the_study_asks_for_others(state):
    ask(state, "alpha", "k1", "k2")
    finish(state, "alpha", "k1")
    ask(state, "alpha", "k2", "k3")
    found = {cell.key: (cell.asked, cell.outcome) for cell in state.study_cells("alpha")}
    assert found["k1"] == (False, Outcome.FINISHED)
    assert found["k2"] == found["k3"] == (True, Outcome.WAITING)


def test_a_key_that_another_study_finished_is_taken_over(state):
    ask(state, "first", "k1")
    finish(state, "first", "k1")
    ask(state, "second", "k1")
    claim = state.claim_cell("second", "k1", lambda _: True)
    assert not claim.mine
    (cell,) = state.study_cells("second")
    assert (cell.outcome, cell.run, cell.origin) == (Outcome.FINISHED, "first-k1", "study first")


def test_a_key_that_is_executed_elsewhere_is_not_begun_a_second_time(state):
    ask(state, "first", "k1")
    ask(state, "second", "k1")
    assert state.claim_cell("first", "k1", lambda _: True).mine
    assert state.claim_cell("second", "k1", lambda _: True).elsewhere == "first"
    assert state.claim_cell("second", "k1", lambda _: False).mine, "that runner is gone"


def test_each_attempt_is_counted_from_the_first_beginning_on(state):
    ask(state, "alpha", "k1")
    first = state.claim_cell("alpha", "k1", lambda _: True).cell
    state.put_cell(replace(first, outcome=Outcome.CUT_OFF, why="the kernel was ended"))
    second = state.claim_cell("alpha", "k1", lambda _: True).cell
    assert (second.attempts, second.began_at, second.why) == (2, first.began_at, "")


def test_what_was_kept_from_before_a_change_is_nobody_elses_result(state):
    (before,) = ask(state, "alpha", "k1")
    finish(state, "alpha", "k1")
    (after,) = ask(state, "alpha", "k2")
    state.keep_cells([(after, state.study_cells("alpha")[1])])
    kept = state.study_cells("alpha")[0]
    assert (kept.outcome, kept.origin, kept.kept) == (Outcome.FINISHED, f"key {before.key}", True)
    ask(state, "other", "k2")
    assert state.claim_cell("other", "k2", lambda _: False).mine
