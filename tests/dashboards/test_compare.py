"""The page Compare when what it asks for cannot be had."""

import asyncio

import pytest

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
    def look():
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


def test_a_choice_is_shown_once_there_is_something_to_choose(page):
    refuse(page)
    page.fill()
    assert not page._metric.visible
