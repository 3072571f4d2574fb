"""Pages in a cell: `run.panel()` and `coord.panel()` show the same page objects as the server does."""

from __future__ import annotations

import asyncio
import functools
import getpass
import secrets
import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import urlencode

import panel as pn
from bokeh.settings import settings

from flnb.coordinator.run import Run
from flnb.core import cards
from flnb.core.errors import AccessRefusedError, FLBaseError, NotFoundError
from flnb.core.ids import RunId
from flnb.core.view import RunView
from flnb.dashboards.access import Person
from flnb.dashboards.feed import Sight
from flnb.dashboards.orders import Orders
from flnb.dashboards.page import Page
from flnb.dashboards.pages.overview import Overview
from flnb.dashboards.pages.rounds import Rounds
from flnb.dashboards.serving import Pages, Settings
from flnb.store import Table

T = TypeVar("T")
_HEIGHT_PX = 900
_ONE_TOKEN = secrets.token_urlsafe(32)
"""Stands for whoever runs the cell; no coordinator knows it, and it leaves this process nowhere."""


class Held:
    """What a notebook holds, as source and target of a sight, and as whom orders are given to.

    Args:
        runs: The runs that are shown.
        ask: Answers SQL.
        owner: Whom everything else is asked of.
        live: Whether somebody drives them.
    """

    name = "this notebook"
    trouble: FLBaseError | None = None
    last_write: datetime | None = None

    def __init__(
        self,
        runs: Callable[[], Mapping[RunId, Run]],
        ask: Callable[..., Table],
        owner: Any,
        live: Callable[[], bool],
    ) -> None:
        self._runs, self._ask, self._owner, self._live = runs, ask, owner, live

    @property
    def live(self) -> bool:
        """See `Source`."""
        return self._live()

    def views(self) -> dict[RunId, RunView]:
        """See `Source`."""
        return {run_id: run.view for run_id, run in self._runs().items()}

    def run(self, run: RunId) -> Run:
        """See `Source`."""
        found = self._runs()
        if run not in found:
            raise NotFoundError("run", run)
        return found[run]

    attach = run

    def ask(self, query: str, *, rows: int = 10_000, timeout_s: float = 5.0) -> Table:
        """See `Source`."""
        return self._ask(query, rows=rows, timeout_s=timeout_s)

    def open(self, _role: str, _person: Person | None = None) -> Held:
        """See `Target`: it is its own source."""
        return self

    def served(self) -> bool:
        """See `Target`."""
        return True

    def facts(self) -> Mapping[str, str]:
        """See `Target`."""
        return {"held by": self.name}

    def own(self) -> Person:
        """See `Target`: whoever runs the cell."""
        return Person(getpass.getuser(), getattr(self._owner, "role", "admin"), _ONE_TOKEN)

    def person(self, token: str) -> Person:
        """See `Target`; only links of this process sign in here.

        Raises:
            AccessRefusedError: It is somebody else's.
        """
        if token != _ONE_TOKEN:
            raise AccessRefusedError("this page belongs to a notebook", hint="flnb ui LAB")
        return self.own()

    def close(self) -> None:
        """See `Source`."""


class Given(Orders):
    """Orders of whoever runs the cell: the objects are in his hand already.

    Args:
        held: Them.
    """

    def __init__(self, held: Held) -> None:
        super().__init__(held)  # type: ignore[arg-type]  # nobody is connected to
        self._held = held

    def give(self, _person: Person, order: Callable[[Any], T]) -> T:
        """See `Orders`."""
        return order(self._held)


def run_page(run: Run) -> InCell:
    """The page Rounds of a run."""
    live = (
        (lambda: True)
        if not hasattr(run.source, "follow")
        else (lambda: not run.status.over or run.driven_here)
    )
    held = Held(lambda: {run.id: run}, run.source.ask, run, live)
    return _shown(Rounds, held, run=run.name)


def coordinator_page(coordinator: Any) -> InCell:
    """The page Overview of a coordinator, here or elsewhere."""
    here = getattr(coordinator, "lab", None)
    owner = here if here is not None else coordinator
    known: dict[RunId, Run] = {}

    def runs() -> Mapping[RunId, Run]:
        listed = owner.runs().ids
        for one in listed:
            if one not in known:
                known[one] = owner.attach(one)
        return {one: known[one] for one in listed}

    live = (lambda: coordinator.running) if here is not None else (lambda: coordinator.connected)
    return _shown(Overview, Held(runs, owner.sql, owner, live))


def _shown(kind: type[Page], held: Held, **state: str) -> InCell:
    return InCell(kind, held, state)


class InCell(pn.viewable.Viewer):
    """A page in a cell: a frame with a page of a small server of this process.

    So it moves while cells run, and a saved notebook holds an address and not 40 MB of JavaScript,
    which is what Panel writes into it for a page of this kind. In an app of one's own it is a part
    like any other.

    Args:
        kind: Which page.
        held: What it shows.
        state: As its address says.
    """

    def __init__(self, kind: type[Page], held: Held, state: Mapping[str, str]) -> None:
        super().__init__()
        self._kind, self._held, self._state = kind, held, dict(state)

    def __panel__(self) -> pn.viewable.Viewable:
        """The page itself, filled as things happen."""
        sight = Sight(self._held, "operator")  # type: ignore[arg-type]  # all of a target that a sight needs
        page = self._kind(sight, self._held.own(), Given(self._held), **self._state)
        layout = page.__panel__()
        sight.on_change(page.fill, self._state.get("run"))
        sight.start()
        return layout

    def __repr__(self) -> str:
        """What it is, for where nothing can be drawn."""
        return f"{self._kind.title} of {self._state.get('run') or 'all runs'}, as a page"

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> Any:
        served = _served(self._held)
        frame, tab = (served.link(self._kind.path, self._state) for _ in range(2))
        return cards.bundle(
            repr(self),
            f'<iframe src="{cards.escape(frame)}" title="{cards.escape(repr(self))}" '
            f'style="width:100%;height:{_HEIGHT_PX}px;border:1px solid #8884;border-radius:8px"></iframe>'
            f'<div style="font-size:12px"><a href="{cards.escape(tab)}" target="_blank">Open it in a tab</a>; '
            "if the notebook runs on another machine, <code>flnb ui</code> shows it.</div>",
        )


class _Served:
    """A server of pages in a thread of this process.

    Args:
        held: What it shows.
    """

    def __init__(self, held: Held) -> None:
        settings.resources = "server"  # nothing from outside
        pn.config.param.update(notifications=True, reconnect=True, throttled=True)
        self._pages = Pages(held, Settings(), Given(held))  # type: ignore[arg-type]  # as above
        self._ready = threading.Event()
        threading.Thread(target=self._serve, name="flnb-pages", daemon=True).start()
        self._ready.wait()

    def _serve(self) -> None:
        asyncio.set_event_loop(asyncio.new_event_loop())
        self.address = self._pages.start(prepared=True)
        self._ready.set()
        self._pages.serve()

    def link(self, path: str, state: Mapping[str, str]) -> str:
        """An address that signs a browser in, once."""
        shown = f"{path}?{urlencode(state)}" if state else path
        told = {"ticket": self._pages.doorman.ticket(), "next": f"/{shown}"}
        return f"{self.address}sign-in?{urlencode(told)}"


@functools.cache
def _served(held: Held) -> _Served:
    """The server of something that is held; a cell that is run again shows the same."""
    return _Served(held)
