"""The page Studies: the numbers of `df()`, every state, who may download what, and when it is offered."""

import asyncio
from dataclasses import replace

import pytest

import flnb
from flnb.core.errors import AccessRefusedError, NotFoundError, UnreachableError
from flnb.dashboards.access import Person
from flnb.dashboards.orders import Orders
from flnb.dashboards.pages import studies
from flnb.dashboards.pages.studies import Studies
from flnb.dashboards.standing import Snapshot
from flnb.dashboards.study_watch import StudyWatch, studies_in
from flnb.dashboards.targets import LabTarget
from flnb.store import Outcome
from tests.dashboards.test_of_run import Still
from tests.ui.places import make_study

pytestmark = pytest.mark.filterwarnings(  # of panel-material-ui, about its own class
    "ignore:Both 'variant' and 'button_style':PendingDeprecationWarning"
)


@pytest.fixture
def studied(lab, monkeypatch):
    """The lab with a study whose cells are in every state, and nothing of it afterwards."""
    monkeypatch.setattr(studies.pn.state, "execute", lambda do: asyncio.run(do()))
    if not lab.store.state.studies():
        make_study(lab)
    return lab


def shown(lab, role="operator"):
    target = LabTarget(lab)
    sight = Still(target)
    sight.now = replace(sight.now, studies=target.stored(role).studies())
    page = Studies(sight, Person("ole", role, "x"), Orders(target))
    page.__panel__()
    page.fill()
    return page


def test_the_map_shows_the_best_of_df_and_every_state(studied):
    page, frame = shown(studied), studied.study("alpha").df()
    best = frame.set_index("outcome")["best_accuracy"]["finished"]
    assert f'<data value="{float(best)!r}">' in page._map.object
    for kind in ("running", "failed", "waiting"):
        assert f'<td class="{kind}"' in page._map.object
    assert "rounds?run=finished" in page._map.object
    assert page._grid[0].object == "<h2>Accuracy in the best round, by alpha and strategy</h2>"


def test_names_and_reasons_are_text_and_viewers_are_told_no_reason(studied):
    page = shown(studied)
    assert "<script>" not in page._cells.object + page._map.object
    assert "ZeroDivisionError: &lt;b&gt;division&lt;/b&gt;" in page._cells.object
    viewers = shown(studied, "viewer")
    assert "ZeroDivisionError" not in viewers._cells.object
    assert viewers.files._report.disabled
    assert viewers.files._notebook.disabled


def test_viewers_are_not_told_where_files_lie_also_in_the_process_of_the_lab(studied):
    cell = studied.store.state.study_cells("alpha")[0]
    at = dict(cell.parameters) | {"data": "/srv/ada/patients.csv"}
    studied.store.state.put_cell(replace(cell, parameters=at))
    told = {role: repr(shown(studied, role).now.studies) for role in ("viewer", "operator")}
    pages = {role: shown(studied, role)._cells.object for role in told}
    studied.store.state.put_cell(cell)
    assert ["/srv/ada" in told[role] for role in told] == [False, True]
    assert ["/srv/ada" in pages[role] for role in pages] == [False, True]
    assert all("patients.csv" in page for page in pages.values())


def test_a_report_and_a_notebook_are_given_to_operators(studied):
    files = shown(studied).files
    assert (files._report.filename, files._notebook.filename) == ("alpha.html", "alpha-k0.ipynb")
    assert b"<h1>alpha</h1>" in files._make_report()
    assert files._read_notebook() == b"{}"
    files._path().unlink()
    with pytest.raises(NotFoundError, match="on this machine"):
        files._read_notebook()
    files._path().write_text("{}")


@pytest.mark.parametrize("button", ["_report", "_notebook"])
def test_a_viewer_who_presses_a_disabled_button_is_given_nothing(studied, button):
    page, said = shown(studied, "viewer"), []
    page.toast = lambda text, kind: said.append((kind, text))
    file = getattr(page.files, button)
    with pytest.raises(AccessRefusedError, match="for operators"):
        file.param.trigger("_clicks")  # as a message does that need not come from a browser
    assert not file.data
    assert [kind for kind, _ in said] == ["error"]
    given = getattr(shown(studied).files, button)
    given.param.trigger("_clicks")
    assert given.data


def test_the_page_is_offered_by_labs_that_have_a_study(studied, tmp_path):
    assert Studies.is_offered(shown(studied).now)
    assert not Studies.is_offered(Snapshot())
    bare = flnb.open(tmp_path / "bare")
    page = shown(bare)
    assert "flnb study run" in page._hint.object
    bare.store.close()


def test_what_becomes_of_a_cell_is_seen_and_asked_for_again(studied, monkeypatch):
    page, looked = shown(studied), []
    monkeypatch.setattr(page, "_look_or_say", lambda *told: looked.append(told) or page._facts)
    page.fill()
    assert looked == []
    cell = page.chosen.cells[3]
    studied.store.state.put_cell(replace(cell, outcome=Outcome.RUNNING))
    page.sight.now = replace(page.now, studies=studies_in(studied.store.state))
    page.fill()
    assert len(looked) == 1
    assert "running</span> 2" in page._line.object
    studied.store.state.put_cell(cell)


def test_measures_that_cannot_be_had_are_said_and_asked_for_again(studied, monkeypatch):
    page = shown(studied)
    monkeypatch.setattr(page, "_look_or_say", lambda *_: UnreachableError("nobody answers"))
    page._again()
    assert "nobody answers" in page._hint.object
    assert page._stamp is None


def test_a_study_that_is_not_there_is_said(studied):
    page = shown(studied)
    page.study = "beta"
    assert "no study “beta”" in page._hint.object
    assert not page._parts.visible


def test_studies_are_looked_at_every_few_seconds(studied, monkeypatch):
    watch, source = StudyWatch(), LabTarget(studied).stored("viewer")
    (first,) = watch.look(source)
    monkeypatch.setattr(studied.store.state, "studies", list)
    assert watch.look(source) == (first,)
    monkeypatch.setattr("flnb.dashboards.study_watch.LOOK_S", 0.0)
    assert watch.look(source) == ()
