"""A page about one run that asks for more than its picture each time a round was closed."""

from __future__ import annotations

from collections.abc import Hashable
from functools import partial
from typing import Any, ClassVar
from urllib.parse import urlencode

import panel as pn

from flnb.coordinator.run import Run
from flnb.core.clock import SYSTEM_CLOCK
from flnb.core.errors import NotFoundError
from flnb.dashboards.components import states
from flnb.dashboards.components.panes import html
from flnb.dashboards.page import QUESTIONS, Page
from flnb.dashboards.sources import Source

_AGAIN_S = 10.0
"""Names, branches and clients change without a round; so often they are asked for in any case."""


class OfRun(Page):
    """Shows a run, or why there is none to show; asks again when its head is another, or it is time."""

    promise: ClassVar[str]
    """What will be shown here, for a lab without runs."""

    def build(self) -> pn.viewable.Viewable:
        """See `Page`."""
        self._absent = html()
        self._asked: Hashable = None
        self._asked_s, self._asked_of, self._number = 0.0, "", 0
        self._asking = False
        self._parts = self.parts()
        return pn.Column(self._absent, self._parts, sizing_mode="stretch_width", margin=0)

    def parts(self) -> pn.viewable.Viewable:
        """Make the panes and lay them out."""
        raise NotImplementedError

    def ask(self) -> Any:
        """Everything that the page needs beside pictures; blocks, in a thread.

        Raises:
            FLBaseError: It cannot be had now; shown in passing.
        """
        raise NotImplementedError

    def told(self, found: Any) -> None:
        """Keep what was asked for; the panes are filled afterwards."""
        raise NotImplementedError

    def fill(self) -> None:
        """See `Page`; without a run there is nothing to fill."""
        if not self.run and self.now.views:
            self.run = next(iter(self.now.views.values())).name
        missing = self.view is None
        self._absent.object = why_absent(self, self.promise) if missing else ""
        self._parts.visible = not missing
        if missing:
            return
        super().fill()
        old = SYSTEM_CLOCK.monotonic_s() - self._asked_s >= _AGAIN_S
        other = self._asked_of != self.run
        if other or (not self._asking and (old or self.stamp != self._asked)):
            self.ask_again()

    def ask_again(self) -> None:
        """Ask now, whether or not the head moved."""
        self._asked, self._asking, self._number = self.stamp, True, self._number + 1
        self._asked_of = self.run
        self._asked_s = SYSTEM_CLOCK.monotonic_s()
        # The answer to a choice of before may come after that to the present one.
        heard, done = partial(self._heard, self._number), partial(self._done, self._number)
        pn.state.execute(self.later(self.ask, heard, also=done, pool=QUESTIONS))

    @property
    def stamp(self) -> Hashable:
        """What an answer is good for: the head, and who tells of it."""
        view = self.view
        return view and (self.run_id, view.generation, view.round, self.now.standing.kind)

    @property
    def source(self) -> Source:
        """Who is asked.

        Raises:
            FLBaseError: Nobody answers.
        """
        return self.sight.source

    def held(self) -> Run:
        """The run, as a notebook holds it.

        Raises:
            FLBaseError: There is none, or nobody answers.
        """
        run = self.run_id
        if run is None:
            raise NotFoundError("run", self.run)
        return self.source.run(run)

    def refusal(self) -> str:
        """Why nothing can be changed from here now; empty if it can."""
        if not self.person.may("operator"):
            return f"You are {self.person.role}; operators change runs."
        if self.now.standing.kind != "live":
            return "No coordinator answers, so nothing can be changed now."
        return ""

    def address_of(self, path: str, **state: object) -> str:
        """The address of a page about this run."""
        return f"{path}?{urlencode({'run': self.run} | state)}"

    def _heard(self, number: int, found: Any) -> None:
        if number == self._number and self._asked_of == self.run:
            self.told(found)
            super().fill()

    def _done(self, number: int) -> None:
        if number == self._number:
            self._asking = False


def why_absent(page: Page, promise: str) -> str:
    """What stands in place of a run that there is not.

    Args:
        page: Which page.
        promise: What will be shown, for a lab without runs.
    """
    if page.now.standing.kind in {"loading", "offline"}:
        return states.loading("the run", 320)
    if page.run:
        return states.empty(f"There is no run “{page.run}” in this lab.")
    return states.empty(promise, 'run = coord.run(plan, task, name="first")')
