"""How a run is shown while it goes: one port, several back ends, chosen once.

A back end draws a `RunView` in a notebook, in a terminal, as lines of a log, or not at all. They
are plug-ins of the group `flnb.progress`. How often is drawn is decided here and nowhere else.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint
from typing import Protocol

from flnb.core.clock import SYSTEM_CLOCK, Clock
from flnb.core.registry import Registry
from flnb.core.view import RunView

GROUP = "flnb.progress"
INTERVAL_S = 0.25
"""Nobody reads faster than four frames a second."""


class Progress(Protocol):
    """Shows a run while it goes.

    A back end that sets `every_view = True` gets every picture, not four a second.
    """

    def show(self, view: RunView, *, final: bool = False) -> None:
        """Draw the run as it is now.

        Args:
            view: The picture to draw. The first call comes from the thread of the user, later
                ones from any thread.
            final: Nothing more happens without a command; the run may still be resumed and
                shown again.
        """
        ...


class Off:
    """Shows nothing."""

    def show(self, view: RunView, *, final: bool = False) -> None:
        """Do nothing."""


Later = Callable[[float, Callable[[], None]], object]
"""Calls a function after so many seconds, such as `loop.call_later`."""


class Throttled:
    """Lets at most four frames a second through, no frame twice, and the final one always.

    A final frame is drawn each time somebody asks for it: who executes a notebook unattended does
    not see what is drawn between two cells, so the cell that waits for the run draws it again.

    Args:
        inner: The back end that draws.
        clock: Where time comes from.
        later: Draws the last of a burst when its time has come. Without it, that one waits for
            the next change.
    """

    def __init__(
        self, inner: Progress, clock: Clock = SYSTEM_CLOCK, later: Later | None = None
    ) -> None:
        self._inner, self._clock, self._later = inner, clock, later
        self._latest: tuple[RunView, bool] | None = None
        self._drawn: tuple[RunView, bool] | None = None
        self._drawn_at_s = -INTERVAL_S
        self._waiting = False

    def show(self, view: RunView, *, final: bool = False) -> None:
        """Draw the run now, soon, or not at all when it looks as it did."""
        self._latest = (view, final)
        wait_s = self._drawn_at_s + INTERVAL_S - self._clock.monotonic_s()
        if final or wait_s <= 0:
            self._draw(forced=final)
        elif self._later is not None and not self._waiting:
            self._waiting = True
            self._later(wait_s, self._catch_up)

    def _catch_up(self) -> None:
        self._waiting = False
        self._draw()

    def _draw(self, *, forced: bool = False) -> None:
        # The loop's thread may be drawing while the user's thread forces the final frame. Each
        # goes on until what it drew itself is the newest, so the newest is what stays.
        shown = None if forced else self._drawn
        while self._latest is not None and self._latest != shown:
            shown = self._latest
            self._drawn_at_s = self._clock.monotonic_s()
            self._inner.show(shown[0], final=shown[1])
        self._drawn = shown


progress_registry: Registry[Callable[[], Progress]] = Registry("progress display", GROUP, __name__)

_HOMES = {
    "notebook": "flnb.notebook.frame:NotebookFrame",
    "terminal": "flnb.cli.table:LiveTable",
    "lines": "flnb.cli.lines:Lines",
    "off": "flnb.core.progress:Off",
}


def _built_in(name: str) -> Callable[[], Progress]:
    def make() -> Progress:
        back_end: Callable[[], Progress] = EntryPoint(name, _HOMES[name], GROUP).load()
        return back_end()

    return make


# The same places stand in pyproject.toml as entry points; naming them here as well lets a source
# checkout work whose installed metadata is older than the code.
for _name in _HOMES:
    progress_registry.register(_name)(_built_in(_name))


def here(*, later: Later | None = None, clock: Clock = SYSTEM_CLOCK) -> Progress:
    """Make the display that fits where this process runs.

    `FLNB_PROGRESS` (`notebook`, `terminal`, `lines`, `off`, or a plug-in's name) decides; without
    it a Jupyter kernel gets a frame, a terminal a table, and everything else one line a round.

    Raises:
        NotFoundError: `FLNB_PROGRESS` names no display.
    """
    name = os.environ.get("FLNB_PROGRESS") or _fitting()
    display = progress_registry.find(name)()
    every_view = getattr(display, "every_view", False)
    return display if every_view else Throttled(display, clock, later)


def _fitting() -> str:
    if in_kernel():
        return "notebook"
    terminal = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
    return "terminal" if terminal else "lines"


def in_kernel() -> bool:
    """Whether this process is a Jupyter kernel; never imports IPython to find out."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return getattr(shell, "kernel", None) is not None
