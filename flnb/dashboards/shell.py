"""What is around every page: header, menu, run picker, banner, boundary, address, toasts.

One `Shell` a session. It hears of changes on the feed's thread, and fills its page in the session,
at most once for all that happened meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import threading
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

import panel as pn
import panel_material_ui as pmui

from flnb.core.cards import Html, escape
from flnb.core.clock import SYSTEM_CLOCK
from flnb.dashboards import theme, words
from flnb.dashboards.access import Person
from flnb.dashboards.addressing import follow, locate
from flnb.dashboards.components import states
from flnb.dashboards.components.banner import banner, stale
from flnb.dashboards.components.panes import error_card, html
from flnb.dashboards.feed import Feed
from flnb.dashboards.head import TEMPLATE, Frame, forget
from flnb.dashboards.orders import Orders
from flnb.dashboards.page import Page, loop_of, soon
from flnb.dashboards.routes import PAGES

log = logging.getLogger(__name__)

_HEAD_CSS = """
:host { flex: 1 1 auto; min-width: 0; }
.head { display: flex; align-items: center; gap: 16px; min-width: 0; }
.head nav { display: none; gap: 4px; }
.head nav a { color: var(--ink); padding: 6px 12px; border-radius: 8px; font-weight: 550; white-space: nowrap; }
.head nav a:hover { background: color-mix(in srgb, currentColor 7%, transparent); text-decoration: none; }
.head nav a[aria-current] { color: var(--accent); background: color-mix(in srgb, var(--accent) 12%, transparent); }
@media (min-width: 1100px) { .head nav { display: flex; } }
.head a.brand { color: inherit; font-size: 18px; font-weight: 700; letter-spacing: -.01em; }
.head .where { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; min-width: 0; }
.head .state { margin-left: 8px; }
.head .who { margin-left: auto; white-space: nowrap; display: flex; align-items: center; gap: 16px; }
.head form { margin: 0; } .head form button { font: inherit; color: var(--accent); background: none; border: 0; padding: 0; cursor: pointer; }
.head form button:hover { text-decoration: underline; }
@media (max-width: 700px) { .head { max-width: calc(100vw - 112px); } .head .where b { display: none; } .head .lab, .head .out, .head .branch, .head .chip .name { display: none; } .head { gap: 8px; } }
"""
_MENU_CSS = """
nav { display: flex; flex-direction: column; gap: 4px; padding: 8px; }
nav a { color: var(--ink); padding: 8px 16px; border-radius: 8px; font-weight: 550; }
nav a:hover { background: color-mix(in srgb, currentColor 7%, transparent); text-decoration: none; }
nav a[aria-current] { color: var(--accent); background: color-mix(in srgb, var(--accent) 12%, transparent); }
"""

_BELOW_PX = 96
"""Free below each page, so that what a toast lies over can be scrolled clear of it."""
_SHOWN_MS = {"success": 4000, "info": 4000}


class Shell:
    """A session's page and all that is around it.

    Args:
        feed: What the server knows.
        orders: Gives orders to the coordinator.
        person: Who looks.
        kind: Which page.
        still: Whether the person may still look; asked with every change.
    """

    def __init__(
        self,
        feed: Feed,
        orders: Orders,
        person: Person,
        kind: type[Page],
        still: Callable[[], bool] = lambda: True,
    ) -> None:
        self._feed, self._orders, self._person, self._kind = feed, orders, person, kind
        self._still, self._sight = still, feed.sight(person)
        self._stop: Callable[[], None] = lambda: None
        self._waiting, self._lock = False, threading.Lock()
        self._loaded, self._seen, self._offering = False, True, False
        self._page: Page | None = None
        self._head, self._menu, self._banner = html(css=_HEAD_CSS), html(css=_MENU_CSS), html()
        self._title = html(f"<h1>{escape(kind.title)}</h1>", styles={"flex": "1 1 160px"})
        self._picker = pmui.Select(
            label="Run", options=[], size="small", width=280, margin=0, stylesheets=[theme.PICKER]
        )
        self._picker.visible = False
        self._body = pn.Column(sizing_mode="stretch_width", margin=0)
        self._doc = pn.state.curdoc
        self._loop: asyncio.AbstractEventLoop | None = None
        if self._doc is not None and self._doc.session_context is not None:
            self._loop = loop_of(self._doc)

    def build(self) -> Frame:
        """Make everything, and begin to listen."""
        if self._doc is not None:
            locate(self._doc)
        self._make_page()
        if self._doc is None:
            self._loaded = True
        else:
            pn.state.onload(self._on_load)
        self._hear()
        shown = Frame(
            title="",
            header=[self._head],
            sidebar=[self._menu],
            main=[
                pn.Column(
                    pn.FlexBox(
                        self._title, self._picker, align_items="center", gap="8px", margin=0
                    ),
                    self._banner,
                    self._body,
                    sizing_mode="stretch_width",
                    margin=0,
                    styles={
                        "padding": f"16px 24px {_BELOW_PX}px",
                        "gap": "16px",
                        "box-sizing": "border-box",
                    },
                )
            ],
            sidebar_open=False,
            sidebar_variant="temporary",
            sidebar_resizable=False,
            sidebar_width=240,
            busy_indicator=None,
            dark_theme=_dark(pn.state.cookies or {}),
            theme_config=theme.THEME,
            template=TEMPLATE,
            sx=theme.FRAME,
            main_width=1520,
        )
        shown.param.watch(self._looked_at, "seen")
        self._fill()
        return shown

    def _make_page(self) -> None:
        """The page, or why it is not shown: an error here must not leave the browser blank."""
        if not self._person.may(self._kind.needs):
            self._body.objects = [html(states.denied(f"{self._kind.title}", self._kind.needs))]
            return
        try:
            self._page = self._kind(self._sight, self._person, self._orders)
            self._page.toast = self._toast
            follow(self._page, self._toast)
            self._page.param.watch(self._run_changed, "run")
            self._picker.param.watch(self._picked, "value")
            self._body.objects = [self._page.__panel__()]
        except Exception as error:  # the boundary of a whole page
            number = secrets.token_hex(4)
            log.exception("error %s in page %s", number, self._kind.title)
            self._page = None
            self._body.objects = [html(error_card(self._kind.title, error, number))]

    # --- changes --------------------------------------------------------------------------------

    def _hear(self) -> None:
        run = self._page.run if self._page is not None and self._page.of_a_run else None
        self._stop()
        self._stop = self._sight.on_change(self._news, run or None)

    def _news(self) -> None:
        """Something changed; on the feed's thread."""
        with self._lock:
            if self._waiting or not self._loaded:
                return
            self._waiting = True
        if self._doc is None or self._loop is None:
            self._fill()
        else:
            soon(self._loop, self._doc, self._fill)

    def _on_load(self) -> None:
        """The browser has the document; what is streamed before that would be lost on its way."""
        with self._lock:
            self._loaded = True
        self._fill()

    def _fill(self) -> None:
        with self._lock:
            self._waiting = False
        if not self._still():
            self.close()
            self._body.objects = [html(states.signed_out())]
            return
        if not self._seen:
            return
        with pn.io.hold():
            said = banner(self._sight.now.standing) or self._stale()
            self._set(self._banner, said)
            self._banner.visible = bool(said)
            menu = self._menu_markup()
            self._set(self._head, self._head_markup(menu))
            self._set(self._menu, menu)
            if self._page is not None:
                self._page.fill()
                self._offer_runs(self._page)

    def _looked_at(self, event: Any) -> None:
        """Its tab was hidden, or is before somebody's eyes again, who sees nothing old then."""
        self._seen = event.new
        self._fill()

    def _stale(self) -> str:
        page = self._page
        if page is None or not page.of_a_run or page.frames is None:
            return ""
        return stale(page.view, page.frames.closed_at, SYSTEM_CLOCK.now())

    def _offer_runs(self, page: Page) -> None:
        """The run picker, on pages that show one run."""
        names = list(page.names()) if page.of_a_run else []
        chosen = page.run if page.run in names else None
        self._offering = True  # Panel takes the first of new options, which nobody picked
        if names != list(self._picker.options):
            self._picker.param.update(options=names, visible=bool(names), value=chosen)
        elif chosen and self._picker.value != chosen:
            self._picker.value = chosen
        self._offering = False

    def _picked(self, event: Any) -> None:
        if self._page is not None and event.new and not self._offering:
            self._page.run = event.new

    def _run_changed(self, _: Any) -> None:
        """By the picker, by the address, or by the page itself."""
        self._hear()
        if self._loaded:
            self._fill()

    def _set(self, pane: pn.pane.HTML, markup: str) -> None:
        if pane.object != markup:
            pane.object = markup

    def close(self) -> None:
        """Listen no more."""
        self._stop()

    def over(self, _: object) -> None:
        """The session is over: listen no more, and keep nothing of it."""
        self.close()
        if self._doc is not None:
            forget(self._doc)

    def _toast(self, text: str, kind: str = "info") -> None:
        notifications = pn.state.notifications
        if notifications is not None:
            getattr(notifications, kind)(text, duration=_SHOWN_MS.get(kind, 8000))

    # --- words ----------------------------------------------------------------------------------

    def _head_markup(self, menu: Html) -> Html:
        lab = escape(self._feed.target.name)
        where = f'<span class="lab quiet">{lab}</span>'
        of = '<span class="branch quiet" aria-hidden="true"> / </span>'
        view = self._page.view if self._page is not None and self._page.of_a_run else None
        if view is not None:
            where += f"{of}<b>{escape(view.name)}</b>"
            if "/" not in view.name:  # else the name says the branch
                where += f'{of}<span class="branch quiet">{escape(view.branch)}</span>'
            where += f' <span class="state">{words.status(view)} {view.round}/{view.rounds}</span>'
        who = f'{escape(self._person.role)}<span class="name">: {escape(self._person.name)}</span>'
        return Html(
            f'<div class="head"><a class="brand" href="./">flnb</a>{menu}<span class="where">{where}</span>'
            f'<span class="who"><span class="chip">{who}</span> <form class="out" method="post" action="sign-out"><button>Sign out</button></form></span></div>'
        )

    def _menu_markup(self) -> Html:
        run = self._page.run if self._page is not None else ""
        offered = [page for page in PAGES if page.is_offered(self._sight.now)]
        links = "".join(_menu_link(page, self._kind, run) for page in offered)
        return Html(f'<nav aria-label="Pages">{links}</nav>')


def _menu_link(page: type[Page], shown: type[Page], run: str) -> str:
    query = f"?{urlencode({'run': run})}" if run and "run" in page.address else ""
    current = ' aria-current="page"' if page is shown else ""
    return f'<a href="{page.path or "./"}{escape(query)}"{current}>{escape(page.title)}</a>'


def _dark(cookies: Mapping[str, str]) -> bool:
    return cookies.get("flnb-theme") == "dark"
