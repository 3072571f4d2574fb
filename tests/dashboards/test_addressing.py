"""What an address says: what fits is taken, the rest is said once and left out."""

from urllib.parse import parse_qs, urlencode

import panel as pn
import pytest

from flnb.dashboards.access import Person
from flnb.dashboards.addressing import Written, follow
from flnb.dashboards.orders import Orders
from flnb.dashboards.pages.clients import Clients
from flnb.dashboards.pages.compare import Compare
from tests.dashboards.test_of_run import Still


@pytest.fixture
def asked(target, monkeypatch):
    """Open the page Clients with an address; gives the page, what was said, and the location."""

    def ask(search):
        location, said = Written(search=search), []
        monkeypatch.setattr(type(pn.state), "location", location)
        page = Clients(Still(target), Person("ole", "operator", "x"), Orders(target))
        follow(page, lambda text, kind: said.append(text))
        return page, said, location

    return ask


def test_what_fits_is_taken_beside_what_does_not(asked):
    page, said, location = asked("?run=finished&sort=nonsense&find=plain&page=abc")
    assert (page.run, page.find, page.sort, page.page) == ("finished", "plain", "client", 1)
    assert len(said) == 1
    assert said[0].endswith("left out: sort='nonsense', page='abc'")
    assert "nonsense" not in location.search


def test_the_same_is_said_once(asked):
    _, said, location = asked("?page=abc")
    for search in ("?page=abc", "?page=-3"):
        location.search = search
        assert "abc" not in location.search
    assert [text.rpartition(": ")[2] for text in said] == ["page='abc'", "page=-3"]


def test_an_address_in_which_all_fits_says_nothing(asked):
    page, said, _ = asked("?page=2&sort=-loss")
    assert (page.page, page.sort, said) == (2, "-loss", [])


@pytest.mark.parametrize("text", ["007", "1e5", "True", "²", "+5", "[abc", "null"])
def test_a_text_stays_as_it_was_written(asked, text):
    page, said, location = asked(f"?{urlencode({'find': text, 'run': text, 'page': 2})}")
    page.page = 3
    location.search = location.search.replace("page=3", "page=4")
    assert (page.find, page.run, page.page, said) == (text, text, 4, [])
    kept = parse_qs(location.search.removeprefix("?"))
    assert (kept["find"], kept["run"], kept["page"]) == ([text], [text], ["4"])


def test_a_number_that_is_none_is_said_and_left_out(asked):
    page, said, _ = asked("?page=²&find=plain")
    assert (page.page, page.find) == (1, "plain")
    assert said[0].endswith("left out: page='²'")


@pytest.mark.parametrize(("text", "logarithmic"), [("true", True), ("False", False)])
def test_a_flag_is_taken(text, logarithmic):
    assert Compare.param.log_y.deserialize(text) is logarithmic
