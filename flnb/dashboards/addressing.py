"""The address of a page: it holds the page's state, and what does not fit in it is left out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode

import panel as pn
from bokeh.document import Document
from panel.io.location import Location

from flnb.dashboards.page import Page

log = logging.getLogger(__name__)


class Written(Location):
    """The location of a session, in which what an address says stays as it was written.

    Panel makes numbers and flags of what looks like one, and an error of `²`.
    """

    @property
    def query_params(self) -> dict[str, Any]:
        """What the address says."""
        return dict(parse_qsl(self.search.removeprefix("?")))


def locate(document: Document) -> None:
    """Let the address of a session be read as it was written; to be called before Panel reads it."""
    context: Any = document.session_context
    if context is not None:
        written = Written.from_request(context.request)
        pn.state._locations[document] = written  # nothing public gives a session its own


def follow(page: Page, toast: Callable[[str, str], None]) -> None:
    """Let a page and the address of its session say the same from now on.

    Args:
        page: Whose state it is.
        toast: Says what did not fit.
    """
    location = pn.state.location
    if location is None:  # a notebook
        return
    for name in sorted(set(location.query_params) - {*page.address.values(), "next"}):
        log.debug("the address says %s, which this page does not know", name)
    said = set[str]()

    def once(asked: Mapping[str, Any]) -> None:
        wrong = _left_out(page, location, asked)
        if wrong not in said:  # the browser asks for the same when it has the page
            said.add(wrong)
            toast(f"the address has what does not fit and is left out: {wrong}", "warning")

    location.sync(page, dict(page.address), on_error=once)


def _left_out(page: Page, location: Any, asked: Mapping[str, Any]) -> str:
    """Take what fits, and name the rest: Panel leaves out all that was asked for."""
    wrong = dict[str, Any]()
    for state, value in asked.items():
        try:
            page.param.update(**{state: value})
        except ValueError:
            wrong[page.address[state]] = value
    said = parse_qsl(location.search.removeprefix("?"), keep_blank_values=True)
    kept = [(name, one) for name, one in said if name not in wrong]
    location.search = f"?{urlencode(kept)}" if kept else ""
    return ", ".join(f"{name}={value!r}" for name, value in wrong.items())
