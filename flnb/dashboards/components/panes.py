"""Panes: the parts of a page that are built once, filled again and again, and fail alone."""

from __future__ import annotations

import logging
import secrets
import traceback
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

import panel as pn
import panel_material_ui as pmui
from bokeh.document import Document
from bokeh.models import InlineStyleSheet

from flnb.core.cards import Html, escape
from flnb.core.errors import FLBaseError
from flnb.dashboards import theme

log = logging.getLogger(__name__)


_SHEETS = WeakKeyDictionary[Document, dict[str, InlineStyleSheet]]()


class Markup(pn.pane.HTML):
    """HTML of our own: a change of it costs its text alone, and its styles travel once.

    Panel's own pane works out all its properties anew with each change, its style sheets among
    them: more than half of what an open page took.
    """

    def _update(self, _ref: str, model: Any) -> None:
        model.text = self._transform_object(self.object)["object"]

    def _process_param_change(self, params: dict[str, Any]) -> dict[str, Any]:
        properties: dict[str, Any] = super()._process_param_change(params)
        if "stylesheets" in properties:
            properties["stylesheets"] = [_sheet(one) for one in properties["stylesheets"]]
        return properties


def html(markup: str = "", **options: object) -> Markup:
    """A pane of our own HTML, with the styles of all pages."""
    sheets = [css for css in (theme.CSS, options.pop("css", "")) if css]
    return Markup(markup, stylesheets=sheets, sizing_mode="stretch_width", margin=0, **options)


def _sheet(css: Any) -> Any:
    """Styles as one model for all panes of a document; anything else as it is."""
    document = pn.state.curdoc
    if not isinstance(css, str) or document is None or document.session_context is None:
        return css
    known = _SHEETS.setdefault(document, {})
    return known.setdefault(css, InlineStyleSheet(css=css))


class Pane:
    """A part of a page behind a boundary: what it raises is shown in its own place.

    Args:
        title: What it shows, for its heading and its error card; empty for none.
        content: What is shown, built once.
        fill: Brings the content up to date; called in the session, must not block.
        height: Kept free from the start, so that nothing jumps.
    """

    def __init__(
        self,
        title: str,
        content: pn.viewable.Viewable,
        fill: Callable[[], None],
        *,
        height: int | None = None,
    ) -> None:
        self.title, self._content, self._fill = title, content, fill
        self._heading = html(f"<h2>{escape(title)}</h2>")
        self._broken: pn.Column | None = None
        """Its error card; made when there is one, for most panes never have any."""
        self.view = pn.Column(
            *([self._heading] if title else []),
            content,
            sizing_mode="stretch_width",
            min_height=height,
            margin=0,
            css_classes=["flnb-pane"],
        )

    def retitle(self, title: str) -> None:
        """Give it another heading."""
        if title != self.title:
            self.title, self._heading.object = title, f"<h2>{escape(title)}</h2>"

    def fill(self) -> None:
        """Bring it up to date, or show why that cannot be done."""
        try:
            self._fill()
        except Exception as error:  # the boundary: its neighbours live on
            self._show(error)
        else:
            if self._broken is not None:
                self.view.remove(self._broken)
                self._broken, self._content.visible = None, True

    def _show(self, error: Exception) -> None:
        if self._broken is not None:  # once, not with every round
            return
        number = secrets.token_hex(4)
        log.error("error %s in %r", number, self.title, exc_info=error)
        retry = pmui.Button(label="Retry", variant="outlined", size="small", margin=(8, 0, 0, 0))
        retry.on_click(lambda _: self.fill())
        card = html(error_card(self.title, error, number))
        self._broken = pn.Column(card, retry, sizing_mode="stretch_width", margin=0)
        self._content.visible = False
        self.view.append(self._broken)


def error_card(title: str, error: Exception, number: str) -> Html:
    """What went wrong, with a number that the log has too, and details to copy."""
    known = isinstance(error, FLBaseError)
    what = str(error) if known else f"{type(error).__name__}: {error}"
    details = f"error {number} in {title!r}\n" + "".join(traceback.format_exception(error))
    return Html(
        f'<div class="note bad" role="alert"><p><b>{escape(title or "This part")} cannot be shown.</b> '
        f'{escape(what)}</p><p class="quiet">Error {number}; the rest of the page goes on.</p>'
        f"<details><summary>Details to copy</summary><pre>{escape(details)}</pre></details></div>"
    )
