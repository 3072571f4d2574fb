"""What a page is: state that its address holds, panes that are built once and filled again.

A page is usable alone, also in a notebook. To write one: give it `title`, `path`, `needs` and
`of_a_run`, keep its state in `param`s named in `address`, make its panes in `build`, and bring
them up to date in the functions that the panes were given. `fill` is called in the session when
what the page shows has changed, at most four times a second; it reads `self.sight.now` and
`self.frames`, which are in memory, and must not block. What blocks goes through `self.later`.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar, TypeVar

import panel as pn
import param
from bokeh.document import Document

from flnb.core.errors import FLBaseError
from flnb.core.ids import RunId
from flnb.core.view import RunView
from flnb.dashboards.access import Person
from flnb.dashboards.components.panes import Pane
from flnb.dashboards.feed import Sight
from flnb.dashboards.frames import Frames
from flnb.dashboards.orders import Orders
from flnb.dashboards.standing import Snapshot

log = logging.getLogger(__name__)
T = TypeVar("T")

QUESTIONS = ThreadPoolExecutor(4, thread_name_prefix="flnb-question")
"""Where what may take seconds is asked, so that an order never waits behind slow questions."""


class Text(param.String[str]):
    """A text that an address holds: one that looks like a number or a flag stays a text."""

    def __set__(self, obj: Any, value: Any) -> None:
        """Take a value as it was written."""
        if isinstance(value, bool) or value is None:
            value = {True: "true", False: "false", None: "null"}[value]
        super().__set__(obj, str(value) if isinstance(value, int | float) else value)


class Number(param.Integer[int]):
    """A number that an address holds."""

    @classmethod
    def deserialize(cls, value: Any) -> int:
        """Of what an address says."""
        return int(value)


class Flag(param.Boolean[bool]):
    """A yes or no that an address holds."""

    @classmethod
    def deserialize(cls, value: Any) -> bool:
        """Of what an address says."""
        return {"true": True, "false": False}[str(value).lower()]


class Page(pn.viewable.Viewer):
    """One page.

    Args:
        sight: What the person sees.
        person: Who looks.
        orders: Gives his orders to the coordinator.
        **state: The page's own state, as its address says.
    """

    title: ClassVar[str]
    path: ClassVar[str]
    """Below the root; empty for the first page."""
    needs: ClassVar[str] = "viewer"
    """The least role that it is for."""
    in_menu: ClassVar[bool] = True
    of_a_run: ClassVar[bool] = True
    """Whether the run picker belongs to it."""
    address: ClassVar[dict[str, str]] = {"run": "run"}
    """Names of state to names in the address."""

    run = Text(default="", doc="Name of the run")

    def __init__(self, sight: Sight, person: Person, orders: Orders, **state: Any) -> None:
        super().__init__(**state)
        self.sight, self.person, self.orders = sight, person, orders
        self.toast: Callable[[str, str], None] = lambda text, kind: None
        """Says something in passing; kinds are `info`, `success`, `warning` and `error`."""
        self.panes: list[Pane] = []
        self._layout: pn.viewable.Viewable | None = None

    @classmethod
    def is_offered(cls, _now: Snapshot) -> bool:
        """Whether there is anything that it could show, so that it belongs into the menu."""
        return cls.in_menu

    def build(self) -> pn.viewable.Viewable:
        """Make the panes, each once, and lay them out."""
        raise NotImplementedError

    def pane(
        self,
        title: str,
        content: pn.viewable.Viewable,
        fill: Callable[[], None],
        *,
        height: int | None = None,
    ) -> pn.Column:
        """Make a pane, and return what to put into the layout; see `Pane`."""
        made = Pane(title, content, fill, height=height)
        self.panes.append(made)
        return made.view

    def retitle(self, view: pn.Column, title: str) -> None:
        """Give a pane, as `pane` returned it, another heading."""
        next(pane for pane in self.panes if pane.view is view).retitle(title)

    def fill(self) -> None:
        """Bring everything up to date."""
        for pane in self.panes:
            pane.fill()

    def __panel__(self) -> pn.viewable.Viewable:
        if self._layout is None:  # not in __init__: the address is read between the two
            self._layout = self.build()
        return self._layout

    # --- what there is to show ------------------------------------------------------------------

    @property
    def now(self) -> Snapshot:
        """What the feed knows."""
        return self.sight.now

    @property
    def run_id(self) -> RunId | None:
        """The run that is shown; None while there is none of that name."""
        return self.now.run_named(self.run)

    @property
    def view(self) -> RunView | None:
        """Its picture."""
        run = self.run_id
        return self.now.views.get(run) if run is not None else None

    @property
    def frames(self) -> Frames | None:
        """Its closed rounds; None before they are there."""
        run = self.run_id
        return self.sight.frames(run) if run is not None else None

    @property
    def link(self) -> str:
        """The address of what is shown now, with every state that is not the usual one."""
        from urllib.parse import urlencode

        said = {
            name: value
            for state, name in self.address.items()
            if (value := getattr(self, state)) != self.param[state].default
        }
        return f"{self.path or './'}{'?' + urlencode(said) if said else ''}"

    # --- doing ----------------------------------------------------------------------------------

    def later(
        self,
        work: Callable[[], T],
        then: Callable[[T], None],
        *,
        also: Callable[[], None] | None = None,
        pool: ThreadPoolExecutor | None = None,
    ) -> Callable[..., Coroutine[Any, Any, None]]:
        """Do blocking work in a thread, then show what came of it in the session.

        Args:
            work: Blocks.
            then: Gets its result.
            also: Called at the end, whatever happened.
            pool: Where it is done; by default where orders are given.

        Returns:
            What a button or `pn.state.execute` calls; an error becomes a toast, with a number that
            the log has too unless it is one of ours.
        """

        async def do(*_: Any) -> None:
            try:
                found = await asyncio.get_running_loop().run_in_executor(pool, work)
            except FLBaseError as error:
                said = str(error)
                in_session(lambda: self.toast(said, "error"), also)
            except Exception:
                number = secrets.token_hex(4)
                log.exception("error %s in what %s asked", number, self.title)
                said = f"That did not work; the log says why under error {number}"
                in_session(lambda: self.toast(said, "error"), also)
            else:
                in_session(lambda: then(found), also)

        return do

    def names(self) -> Sequence[str]:
        """All runs by name, newest first."""
        return [view.name for view in self.now.views.values()]


def in_session(show: Callable[[], None], also: Callable[[], None] | None) -> None:
    """Show something where the session's document may be changed: after an `await` it may not.

    While the browser loads, what changes can be lost on its way: it waits until the page is there.
    """

    def both() -> None:
        try:
            show()
        finally:
            if also is not None:
                also()

    document = pn.state.curdoc
    if document is None or document.session_context is None:  # a notebook, a test
        both()
    else:
        document.add_next_tick_callback(lambda: pn.state.onload(both))


def loop_of(document: Document) -> asyncio.AbstractEventLoop:
    """The loop on which a session's document is changed."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:  # a thread that Panel gives to callbacks, if it was told to
        session: Any = document.session_context  # Bokeh declares no class with what a server's has
        loop: asyncio.AbstractEventLoop = (
            session.server_context.application_context.io_loop.asyncio_loop
        )
        return loop


def soon(loop: asyncio.AbstractEventLoop, document: Document, do: Callable[[], None]) -> None:
    """Do something in the session of a document, from any thread; not once that is over.

    The loop adds it to the document, and not who calls: Bokeh replaces its list of what happened during a
    change without a lock, so what another thread adds meanwhile may never be done (seen with Bokeh 3.9.2).

    Args:
        loop: On which the document is changed.
        document: Of the session.
        do: Changes it.
    """

    def add() -> None:
        try:
            document.add_next_tick_callback(do)
        except AttributeError:
            # Bokeh takes a document apart first, and then says that its session is over.
            if document.session_context is not None:
                raise

    try:
        loop.call_soon_threadsafe(add)
    except RuntimeError:
        if not loop.is_closed():
            raise


def in_session_after(wait_s: float, do: Callable[[], None]) -> None:
    """Do something in the session a while later, once its page is there; nothing where there is none."""
    document = pn.state.curdoc
    if document is not None and document.session_context is not None:
        document.add_timeout_callback(lambda: pn.state.onload(do), round(wait_s * 1e3))
