"""The page Compare when what it asks for cannot be had."""

import asyncio
from types import SimpleNamespace

import pytest

from flnb.coordinator.history import comparing
from flnb.coordinator.history.comparing import Comparison
from flnb.core.errors import UnreachableError
from flnb.dashboards.access import Person
from flnb.dashboards.orders import Orders
from flnb.dashboards.pages import compare
from flnb.dashboards.pages.compare import Compare
from tests.dashboards.test_of_run import Still

pytestmark = pytest.mark.filterwarnings(  # of panel-material-ui, about its own class
    "ignore:Both 'variant' and 'button_style':PendingDeprecationWarning"
)


@pytest.fixture
def page(target, monkeypatch):
    """A page that compares a run with a branch of it; what it asks for is counted."""
    sight = Still(target)
    run, view = next(iter(sight.now.views.items()))
    sight.now.views[f"{run}-too"] = view
    made = Compare(sight, Person("ole", "operator", "x"), Orders(target))
    monkeypatch.setattr(Compare, "chosen", ["finished", "finished-too"])
    monkeypatch.setattr(compare.pn.state, "execute", lambda do: asyncio.run(do()))
    made.asked = []
    made.__panel__()
    return made


def refuse(page):
    def look(_):
        page.asked.append(page._stamp)
        raise UnreachableError("nobody answers")

    page._look = look


def test_a_comparison_that_failed_is_said_and_asked_for_again(page, monkeypatch):
    refuse(page)
    page.fill()
    assert (len(page.asked), "nobody answers" in page._hint.object) == (1, True)
    page.fill()  # too early
    assert len(page.asked) == 1
    monkeypatch.setattr(compare, "_AGAIN_S", 0.0)
    page.fill()
    assert len(page.asked) == 2


def answer(page, lab):
    """Compare from now on, and count that."""

    def look(stamp):
        page.asked.append(stamp)
        return Comparison([lab.run("finished")] * 2)

    page._look = look


def test_a_choice_is_shown_once_there_is_something_to_choose(page, lab, monkeypatch):
    refuse(page)
    page.fill()
    assert not page._metric.visible
    monkeypatch.setattr(compare, "_AGAIN_S", 0.0)
    answer(page, lab)
    page.fill()
    assert (page._metric.visible, page._hint.visible) == (True, False)


def test_the_same_runs_in_another_order_are_compared_again(page, lab):
    answer(page, lab)
    page.fill()
    assert len(page.asked) == 1
    page.runs = "finished-too,finished"
    assert (len(page.asked), page._comparison is not None) == (2, True)


@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_plans_name_who_is_left_out_for_operators_alone(page, lab, monkeypatch, role):
    first = lab.run("finished")
    others = [first.plan.replace(exclude=names) for names in ([], ["c002", "c004"])]
    runs = iter([SimpleNamespace(name=str(n), plan=plan) for n, plan in enumerate(others)])
    page.person = Person("ole", role, "x")
    monkeypatch.setattr(Compare, "chosen", ["finished", "finished"])
    monkeypatch.setattr(comparing, "_frame", lambda _: None)
    monkeypatch.setattr(page.sight.source, "run", lambda _: next(runs))
    (row,) = page._look("now").plans
    named = "['c002', 'c004']" if role == "operator" else "['hidden-1', 'hidden-2']"
    assert (row["setting"], row["1"]) == ("exclude", named)


def test_why_nothing_was_compared_leaves_when_something_is(page, lab, monkeypatch):
    answer(page, lab)
    page.fill()
    with monkeypatch.context() as fewer:
        fewer.setattr(Compare, "chosen", ["finished"])
        page.fill()
        assert "two runs or more" in page._hint.object
    page.fill()
    assert not page._hint.visible


def test_an_answer_about_runs_that_are_chosen_no_more_is_left_out(page, lab, monkeypatch):
    held = []
    monkeypatch.setattr(compare.pn.state, "execute", held.append)
    answer(page, lab)
    page.fill()
    page.runs = "finished-too,finished"
    asyncio.run(held.pop()())
    assert (page._comparison, len(held)) == (None, 1)
    asyncio.run(held.pop()())
    assert page._comparison is not None
