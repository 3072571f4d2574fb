"""A page about one run: when it asks again, and what an answer that does not come leaves behind."""

import asyncio
import logging
import tempfile
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import panel as pn
import pytest
from bokeh.document import Document
from panel.io.document import MockSessionContext
from panel.io.state import set_curdoc

from flnb.core.clock import SYSTEM_CLOCK
from flnb.core.errors import HeadMovedError, RoundStateError, UnreachableError
from flnb.core.view import Status
from flnb.dashboards import plots, queries
from flnb.dashboards.access import Person
from flnb.dashboards.closed import closed
from flnb.dashboards.commits import Undo
from flnb.dashboards.feed import Sight
from flnb.dashboards.orders import Orders
from flnb.dashboards.page import in_session
from flnb.dashboards.pages import of_run, rolling_back
from flnb.dashboards.pages.checkpoints import Checkpoints
from flnb.dashboards.standing import Snapshot, Standing

pytestmark = pytest.mark.filterwarnings(  # of panel-material-ui, about its own class
    "ignore:Both 'variant' and 'button_style':PendingDeprecationWarning"
)
OLE = Person("ole", "operator", "x")


class Still(Sight):
    """A sight of a lab in which nothing happens."""

    def __init__(self, target):
        super().__init__(target, "operator")
        self._source = target.stored("operator")
        self.now = Snapshot(Standing("store"), self._source.views())


class Asking(Checkpoints):
    """Counts how often it asks."""

    def __init__(self, *about, **state):
        super().__init__(*about, **state)
        self.times = 0

    def ask_again(self):
        self._asked, self._asked_of, self.times = self.stamp, self.run, self.times + 1


@pytest.fixture
def page(target):
    made = Asking(Still(target), OLE, Orders(target), run="finished")
    made.__panel__()
    made.said = []
    made.toast = lambda text, kind: made.said.append(text)
    return made


def test_a_page_asks_again_when_it_is_time_although_no_round_was_closed(page, monkeypatch):
    page.fill()
    page._asked_s = of_run.SYSTEM_CLOCK.monotonic_s()
    page.fill()
    assert page.times == 1
    monkeypatch.setattr(of_run, "_AGAIN_S", 0.0)
    page.fill()
    assert page.times == 2


def test_what_fails_in_a_thread_is_said_with_the_number_of_the_log(page, caplog):
    done = []
    with caplog.at_level(logging.ERROR):
        asyncio.run(page.later(lambda: 1 / 0, done.append, also=lambda: done.append("at last"))())
    (said,) = page.said
    assert said.rpartition(" ")[2] in caplog.text
    assert done == ["at last"]


def test_what_comes_while_a_browser_loads_is_shown_once_the_page_is_there():
    document, shown = Document(), []
    context = MockSessionContext(document=document)
    document._session_context = lambda: context
    with set_curdoc(document):
        in_session(lambda: shown.append("the answer"), lambda: shown.append("at last"))
        (waiting,) = document.session_callbacks
        waiting.callback()
        assert shown == []
        pn.state._on_load(document)
    assert shown == ["the answer", "at last"]


def test_a_file_is_made_in_a_thread_and_nothing_of_it_stays(page, lab, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    loops = []

    def give(person, order):
        with pytest.raises(RuntimeError):
            loops.append(asyncio.get_running_loop())
        return order(lab)

    page.orders.give = give
    page._exporting.fill(lab.run("finished").checkpoint(2), 2, "")
    file = asyncio.run(page._exporting._write())
    assert (isinstance(file, BytesIO), len(file.getvalue()) > 1000) == (True, True)
    assert (list(Path(tmp_path).iterdir()), loops) == ([], [])


def test_a_file_that_cannot_be_had_is_said_in_words(page, lab):
    page._exporting.fill(lab.run("finished").checkpoint(2), 2, "")
    with pytest.raises(UnreachableError):
        asyncio.run(page._exporting._write())
    assert "no coordinator holds this lab" in page.said[0]


def test_bars_of_another_run_with_the_same_rounds_are_drawn(target, lab):
    source, run = target.stored("operator"), lab.run("finished")
    one = closed(source, queries.line(source, run.id)).rounds
    bars = plots.Outcomes()
    for accepted in (4, 3):
        bars.show(plots.Bars.of(accepted, one.assign(accepted=accepted)))
        assert list(bars._source.data["accepted"]) == [accepted] * len(one)


def test_a_difference_is_of_the_checkpoints_that_are_chosen_now(page, monkeypatch):
    asked = []
    monkeypatch.setattr(of_run.pn.state, "execute", asked.append)
    page.against = "2"
    page.at = "3"
    first, second = asked
    asyncio.run(first())
    assert "skeleton" in page._difference.object
    asyncio.run(second())
    assert "From round 2 to round 3." in page._difference.object


def test_a_branch_that_was_rolled_back_is_said_to_rest_only_while_it_does(page):
    head = page.view.generation, page.view.round
    undo = Undo("before-rollback-1", head, "ole", "it diverged", SYSTEM_CLOCK.now())
    page._rolling.offer(undo)
    assert "rests until it is resumed" in page._rolling._after.object
    page.now.views[page.run_id] = replace(page.view, status=Status.RUNNING)
    page._rolling.offer(undo)
    assert "rests" not in page._rolling._after.object


def test_the_answer_to_a_choice_of_before_is_not_shown_under_the_present_one(target, monkeypatch):
    asked, told = [], []
    monkeypatch.setattr(of_run.pn.state, "execute", asked.append)
    page = Checkpoints(Still(target), OLE, Orders(target), run="finished")
    page.__panel__()
    page.told = lambda found: told.append(found.chosen.round)
    page.at = "1"
    page.at = "3"
    for one in reversed(asked):
        asyncio.run(one())
    assert set(told) == {3}


def test_a_file_is_of_the_model_that_is_shown_or_there_is_none(page, lab):
    page.orders.give = lambda person, order: order(lab)
    shown = lab.run("finished").checkpoint(2)
    page._exporting.fill(shown, 3, "")  # the name means another one by now
    with pytest.raises(RoundStateError, match="is round 3 of finished by now, round 2"):
        asyncio.run(page._exporting._write())


def test_a_comparison_of_before_the_head_moved_is_made_anew(page, monkeypatch):
    asked = []
    monkeypatch.setattr(of_run.pn.state, "execute", asked.append)
    page.told(page.ask())
    page.against = "1"
    asyncio.run(asked.pop()())
    page._fill_detail()
    assert not asked
    page.now.views[page.run_id] = replace(page.view, generation=2)
    page._fill_detail()
    assert len(asked) == 1


def test_a_preview_that_comes_late_is_not_shown_for_another_target(page, lab, monkeypatch):
    asked = []
    monkeypatch.setattr(rolling_back.pn.state, "execute", asked.append)
    page.orders.give = lambda person, order: order(lab)
    page._rolling.ask(1)
    page._rolling.ask(2)
    for one in reversed(asked):
        asyncio.run(one())
    assert page._rolling._preview.target == 2
    assert page._rolling.dialog.deed.label.endswith("to round 2")


def test_a_fresh_preview_is_applied_only_by_whoever_says_the_reason_again(page, lab):
    rolling, preview = page._rolling, lab.run("finished").rollback(1)
    rolling._reason.param.update(value="too bold", value_input="too bold")
    moved = HeadMovedError("finished", (1, 5), (1, 6))
    moved.preview = preview
    rolling._applied(preview, moved)
    assert rolling._preview is preview
    assert rolling.dialog.deed.disabled
    rolling._reason.value_input = "still too bold"
    assert not rolling.dialog.deed.disabled


def test_a_comparison_is_shown_though_rounds_close_while_it_is_made(page, monkeypatch):
    asked = []
    monkeypatch.setattr(of_run.pn.state, "execute", asked.append)
    page.told(page.ask())
    page.against = "1"
    for _ in range(3):
        page.now.views[page.run_id] = replace(page.view, round=page.view.round + 1)
        page._fill_detail()
        (one,) = asked  # one at a time
        asked.clear()
        asyncio.run(one())
        assert "<table" in page._difference.object
        page._fill_detail()
        assert "<table" in page._difference.object, "until there is a newer one"
