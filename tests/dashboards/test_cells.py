"""Pages in a cell: the same page objects, over what the notebook holds."""

import html
import re

import httpx
import panel as pn
import pytest

import flnb
from flnb.core import pages
from flnb.core.errors import PlanError, UnreachableError
from flnb.dashboards import beside
from flnb.dashboards.access import Person
from flnb.dashboards.cells import Given, Held, InCell
from flnb.dashboards.pages.rounds import Rounds
from tests.dashboards.test_feed import until
from tests.dashboards.test_proxied import carried


@pytest.fixture(autouse=True)
def _panel_is_loaded(monkeypatch):
    monkeypatch.setattr(pn.extension, "_loaded", True)  # no notebook will read what it would write


def words_of(layout):
    return " ".join(str(pane.object) for pane in layout.select(pn.pane.HTML))


def test_a_run_shows_its_page_in_a_cell(lab):
    layout = lab.run("finished").panel().__panel__()
    until(lambda: "finished" in words_of(layout), "the page is filled")
    assert "Accuracy of the global model by round" in words_of(layout)


def test_a_coordinator_shows_all_its_runs_in_a_cell(lab):
    with flnb.Coordinator(flnb.open(lab.path)) as coordinator:
        layout = coordinator.panel().__panel__()
        until(lambda: "finished" in words_of(layout), "the page is filled")


def frame_of(shown):
    markup = shown._repr_mimebundle_()["text/html"]
    return markup, html.unescape(re.search(r'<iframe src="([^"]+)"', markup)[1])


def test_a_cell_holds_the_address_of_a_page_and_not_the_page(lab):
    markup, address = frame_of(lab.run("finished").panel())
    assert len(markup) < 2000
    with httpx.Client(follow_redirects=True, timeout=60) as browser:
        page = browser.get(address)
        assert page.status_code == 200
        assert str(page.url).endswith("/rounds?run=finished")
        assert "Rounds · this notebook · flnb" in page.text


def test_a_page_does_not_carry_the_cookie_that_scripts_must_not_read(lab):
    _, address = frame_of(lab.run("finished").panel())
    with httpx.Client(follow_redirects=True, timeout=60) as browser:
        said = carried(browser.get(address).text)
        assert next(iter(browser.cookies.values())) not in said
    assert '"run"' in said


def test_without_the_link_of_the_cell_nobody_sees_the_page(lab):
    _, address = frame_of(lab.run("finished").panel())
    place = address.partition("sign-in")[0]
    with httpx.Client(timeout=60) as stranger:
        assert stranger.get(f"{place}rounds?run=finished").status_code == 302
        token = stranger.post(f"{place}sign-in", data={"token": "guessed", "next": "/"})
    assert token.status_code in {401, 403}


def test_a_button_in_a_cell_acts_on_the_run_that_is_held(lab):
    run = lab.run("finished")
    held = Held(lambda: {run.id: run}, run.source.ask, "admin", lambda: True)
    me = Person("me", "admin", "")
    assert Given(held).give(me, lambda there: there.attach(run.id)) is run
    with pytest.raises(UnreachableError, match="not its coordinator"):
        Given(held).give(me, lambda there: there.tokens)


def test_a_viewer_sees_in_a_cell_what_a_viewer_may(lab):
    with flnb.Coordinator(flnb.open(lab.path)) as coordinator:
        coordinator.listen()
        grant = coordinator.token("vera", role="viewer")
        with flnb.connect(grant.text) as there:
            shown = there.attach("finished").panel()
            layout = shown.__panel__()
            until(lambda: "finished" in words_of(layout), "the page is filled")
            until(lambda: "Accuracy of the global model" in words_of(layout), "its curve is there")
            assert shown._held.own().role == "viewer"


def test_a_coordinator_in_a_cell_is_told_everything_that_it_can_do(lab):
    with flnb.Coordinator(flnb.open(lab.path)) as coordinator:
        held = coordinator.panel()._held
        tokens = Given(held).give(held.own(), lambda there: there.tokens)
        assert [one.name for one in tokens] == [one.name for one in coordinator.tokens]


def test_a_cell_that_is_run_again_starts_no_second_server(lab):
    run = lab.run("finished")
    first, again = (frame_of(run.panel())[1].partition("sign-in")[0] for _ in range(2))
    assert first == again


def test_a_server_that_nobody_looks_at_ends_and_the_next_look_starts_another(lab, monkeypatch):
    run = lab.run("finished")
    held = Held(lambda: {run.id: run}, run.source.ask, "admin", lambda: True)
    shown = InCell(Rounds, held, {"run": "finished"})
    with monkeypatch.context() as short:
        short.setattr(beside, "_UNUSED_S", 0.2)
        short.setattr(beside, "_CHECK_S", 0.05)
        _, address = frame_of(shown)
        thread = beside._SERVING[held].thread
        until(lambda: not thread.is_alive(), "it ends")
    with pytest.raises(httpx.ConnectError):
        httpx.get(address)
    assert httpx.get(frame_of(shown)[1]).status_code == 302


def test_a_server_goes_on_while_a_page_is_open(lab, monkeypatch):
    monkeypatch.setattr(beside, "_UNUSED_S", 0.2)
    run = lab.run("finished")
    held = Held(lambda: {run.id: run}, run.source.ask, "admin", lambda: True)
    _, address = frame_of(InCell(Rounds, held, {"run": "finished"}))
    served = beside._SERVING[held]
    with httpx.Client(follow_redirects=True, timeout=60) as browser:
        assert browser.get(address).status_code == 200
    served._used_s = long_ago = served._used_s - 10.0
    served._pages.loop.add_callback(served._check)
    until(lambda: served._used_s > long_ago, "it was looked")
    assert beside._SERVING[held] is served


ENDS = """
import atexit, sys, threading
atexit.register(lambda: print(*(one.name for one in threading.enumerate()), file=sys.stderr))
import flnb
shown = flnb.open(sys.argv[1]).run("finished").panel()
if sys.argv[2] == "layout":
    layout = shown.__panel__()
else:
    shown._repr_mimebundle_()
"""


@pytest.mark.parametrize("way", ["layout", "frame"])
def test_nobody_looks_for_a_page_any_more_when_the_interpreter_ends(lab, interpreters, way):
    done = interpreters.run(ENDS, lab.path, way)
    assert done.returncode == 0, done.stderr
    assert "MainThread" in done.stderr  # last of all
    assert "flnb" not in done.stderr.splitlines()[-1]


def test_without_panel_a_page_says_what_to_install(monkeypatch, lab):
    monkeypatch.setitem(pages._HOMES, "run", "no_such_package.pages:page")
    with pytest.raises(PlanError, match="no_such_package") as refused:
        lab.run("finished").panel()
    assert "flnb[dashboards]" in refused.value.hint
