"""Pages in a cell: `run.panel()` and `coord.panel()` show the same page objects as the server does."""

from __future__ import annotations

import functools
import getpass
import secrets
import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar

import panel as pn

from flnb.coordinator.measures import Measured
from flnb.coordinator.run import Run
from flnb.core import cards
from flnb.core.errors import AccessRefusedError, FLBaseError, NotFoundError, UnreachableError
from flnb.core.ids import RunId
from flnb.core.view import RunView
from flnb.dashboards.access import Person, sees_clients
from flnb.dashboards.beside import link
from flnb.dashboards.feed import Sight
from flnb.dashboards.orders import Orders
from flnb.dashboards.page import Page, loop_of, soon
from flnb.dashboards.pages.overview import Overview
from flnb.dashboards.pages.rounds import Rounds
from flnb.dashboards.serving import Pages, Settings
from flnb.dashboards.study_watch import StudyNow
from flnb.store import Table

T = TypeVar("T")
_HEIGHT_PX = 900
_ONE_TOKEN = secrets.token_urlsafe(32)
"""Stands for whoever runs the cell; no coordinator knows it, and it leaves this process nowhere."""
_TOLD = frozenset({"tokens", "token", "revoke_token", "invite", "revoke", "quarantine", "release"})


class Held:
    """What a notebook holds, as source and target of a sight, and as whom orders are given to.

    Args:
        runs: The runs that are shown.
        ask: Answers SQL.
        role: As whom the notebook holds them; that of its token if they are elsewhere.
        live: Whether somebody drives them.
        coordinator: Theirs, if the notebook holds it.
    """

    name = "this notebook"
    trouble: FLBaseError | None = None
    last_write: datetime | None = None

    def __init__(
        self,
        runs: Callable[[], Mapping[RunId, Run]],
        ask: Callable[..., Table],
        role: str,
        live: Callable[[], bool],
        coordinator: Any = None,
    ) -> None:
        self._runs, self._ask, self.role, self._live = runs, ask, role, live
        self._coordinator = coordinator

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

    def studies(self) -> tuple[StudyNow, ...]:
        """See `Source`: a cell shows runs, `lab.studies` the studies."""
        return ()

    def measured(self, _study: StudyNow) -> Mapping[str, Measured]:
        """See `Source`."""
        return {}

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
        return Person(getpass.getuser(), self.role, _ONE_TOKEN)

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

    def __getattr__(self, name: str) -> Any:
        """What only a coordinator can be told; see `Connection`."""
        if name not in _TOLD:
            raise AttributeError(name)
        if self._coordinator is None:
            raise UnreachableError(
                "this page holds one run and not its coordinator", hint="coord.panel() holds both"
            )
        return getattr(self._coordinator, name)


class Given(Orders):
    """Orders of whoever runs the cell: the objects are in his hand already.

    Args:
        held: Them.
    """

    def __init__(self, held: Held) -> None:
        super().__init__(held)
        self._held = held

    def give(self, _person: Person, order: Callable[[Any], T]) -> T:
        """See `Orders`."""
        return order(self._held)


def run_page(run: Run) -> InCell:
    """The page Rounds of a run."""
    return _shown(Rounds, _held_run(run), run=run.name)


def coordinator_page(coordinator: Any) -> InCell:
    """The page Overview of a coordinator, here or elsewhere."""
    return _shown(Overview, _held_coordinator(coordinator))


@functools.cache
def _held_run(run: Run) -> Held:
    """The same each time, so that a cell that is run again starts no second server."""
    live = (
        (lambda: True)
        if not hasattr(run.source, "follow")
        else (lambda: not run.status.over or run.driven_here)
    )
    role = getattr(run.source, "role", "admin")  # of a run elsewhere, that of the token
    return Held(lambda: {run.id: run}, run.source.ask, role, live)


@functools.cache
def _held_coordinator(coordinator: Any) -> Held:
    """The same each time, as for a run."""
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
    role = getattr(coordinator, "role", "admin")
    return Held(runs, owner.sql, role, live, coordinator)


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
        role = "operator" if sees_clients(self._held.role) else "viewer"
        sight = Sight(self._held, role)
        page = self._kind(sight, self._held.own(), Given(self._held), **self._state)
        layout = page.__panel__()
        document = pn.state.curdoc
        if document is None or document.session_context is None:
            sight.on_change(page.fill, self._state.get("run"))
        else:  # a session's document is changed on its own loop, and ends with it
            told = functools.partial(soon, loop_of(document), document, page.fill)
            sight.on_change(told, self._state.get("run"))
            ending = functools.partial(threading.Thread, target=sight.close, daemon=True)
            pn.state.on_session_destroyed(lambda _: ending().start())
        sight.start()
        return layout

    def __repr__(self) -> str:
        """What it is, for where nothing can be drawn."""
        return f"{self._kind.title} of {self._state.get('run') or 'all runs'}, as a page"

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> Any:
        held = self._held
        frame, tab = (
            link(held, lambda: Pages(held, Settings(), Given(held)), self._kind.path, self._state)
            for _ in range(2)
        )
        return cards.bundle(
            repr(self),
            f'<iframe src="{cards.escape(frame)}" title="{cards.escape(repr(self))}" '
            f'style="width:100%;height:{_HEIGHT_PX}px;border:1px solid #8884;border-radius:8px"></iframe>'
            f'<div style="font-size:12px"><a href="{cards.escape(tab)}" target="_blank">Open it in a tab</a>; '
            "if the notebook runs on another machine, <code>flnb ui</code> shows it.</div>",
        )
