"""Pages in a cell: `run.panel()` and `coord.panel()` show the same page objects as the server does."""

from __future__ import annotations

import getpass
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar

import panel as pn

from flnb.coordinator.run import Run
from flnb.core.errors import FLBaseError, NotFoundError
from flnb.core.ids import RunId
from flnb.core.view import RunView
from flnb.dashboards.access import Person
from flnb.dashboards.feed import Sight
from flnb.dashboards.orders import Orders
from flnb.dashboards.page import Page
from flnb.dashboards.pages.overview import Overview
from flnb.dashboards.pages.rounds import Rounds
from flnb.store import Table

T = TypeVar("T")


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


def run_page(run: Run) -> pn.viewable.Viewable:
    """The page Rounds of a run."""
    live = (
        (lambda: True)
        if not hasattr(run.source, "follow")
        else (lambda: not run.status.over or run.driven_here)
    )
    held = Held(lambda: {run.id: run}, run.source.ask, run, live)
    return _shown(Rounds, held, run=run.name)


def coordinator_page(coordinator: Any) -> pn.viewable.Viewable:
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


def _shown(kind: type[Page], held: Held, **state: str) -> pn.viewable.Viewable:
    """A page that is filled as things happen, for as long as the cell's output is there."""
    if not pn.extension._loaded:
        pn.extension(inline=True, notifications=True)  # without a network, too
    sight = Sight(held, "operator")  # type: ignore[arg-type]  # all of a target that a sight needs
    person = Person(getpass.getuser(), getattr(held._owner, "role", "admin"), "")
    page = kind(sight, person, Given(held), **state)
    layout = page.__panel__()
    sight.on_change(page.fill, state.get("run"))
    sight.start()
    return layout
