"""Panes of our own HTML: what a change of them costs, and what they share."""

from types import SimpleNamespace

import panel as pn
import pytest
from bokeh.document import Document
from panel.io.state import set_curdoc

from flnb.dashboards.components.panes import Pane, html


@pytest.fixture
def session():
    asked = SimpleNamespace(arguments={}, cookies={}, headers={}, uri="/")
    document, context = Document(), SimpleNamespace(session=None, id="one", request=asked)
    document._session_context = lambda: context
    return document


def test_a_change_of_html_works_out_its_text_alone(monkeypatch):
    pane, document = html("<p>before</p>"), Document()
    model = pane.get_root(document)
    monkeypatch.setattr(pn.pane.HTML, "_get_properties", None)
    pane.object = "<p>after</p>"
    assert model.text == "&lt;p&gt;after&lt;/p&gt;"


def test_styles_travel_once_for_all_panes_of_a_page(session):
    with set_curdoc(session):
        first, second = (html("<p>one</p>", css=".one {}").get_root(session) for _ in range(2))
    sheets = [sheet for sheet in first.stylesheets if getattr(sheet, "css", "")]
    assert any(".one" in sheet.css for sheet in sheets)
    assert all(sheet in second.stylesheets for sheet in sheets)


def test_styles_outside_of_a_page_stay_with_their_pane():
    sheets = html("<p>one</p>", css=".one {}").get_root(Document()).stylesheets
    assert ".one {}" in sheets


def test_a_pane_that_breaks_says_so_once_and_is_as_before_when_it_works(caplog):
    broken = [True]
    pane = Pane("Chart", html("<p>fine</p>"), lambda: 1 / 0 if broken[0] else None)
    for _ in range(2):
        pane.fill()
    assert "ZeroDivisionError" in pane.view[-1][0].object
    assert (len(pane.view), pane.view[1].visible, len(caplog.records)) == (3, False, 1)
    broken[0] = False
    pane.fill()
    assert (len(pane.view), pane.view[1].visible) == (2, True)
