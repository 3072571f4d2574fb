"""A run as people hold it: a handle that returns at once, shows itself, and can be told things."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Self

from flnb.coordinator.details import AttemptDetails, RoundDetails
from flnb.coordinator.history.rewinding import Rewinding
from flnb.coordinator.operations import operations
from flnb.coordinator.source import RunSource
from flnb.core import cards, glance, pages, progress, reports
from flnb.core.errors import FLBaseError
from flnb.core.ids import RunId
from flnb.core.plan import Plan
from flnb.core.view import RunView, Status
from flnb.store import FailedAttempt, Table
from flnb.tensors import Model

SECOND_INTERRUPT_S = 2.0


class Run(Rewinding):
    """One run of a plan over a task.

    Made by `Coordinator.run`, `Lab.attach` and `Lab.resume`, here or through `flnb.connect`.
    Everything that shows it reads `view`, which is in memory; only `metrics`, `events`, `rounds`,
    `round(n)` and `model()` ask the lab.

    Args:
        source: Whoever knows the run.
    """

    def __init__(self, source: RunSource) -> None:
        super().__init__(source)
        self._display: progress.Progress | None = None
        self._unwatch: Callable[[], None] | None = None
        self._asked = ""
        """What it was asked to do through this handle and has not done yet, in a word."""

    @property
    def id(self) -> RunId:
        """Opaque, unique for ever."""
        return self.source.id

    @property
    def name(self) -> str:
        """What people call it; unique in its lab."""
        return self.source.name

    @property
    def plan(self) -> Plan:
        """The plan it follows."""
        return Plan.from_stored(self.source.plan_yaml)

    @property
    def view(self) -> RunView:
        """The present picture, from memory."""
        return self.source.view

    @property
    def driven_here(self) -> bool:
        """Whether the coordinator of this process drives it."""
        return self.source.here

    @property
    def status(self) -> Status:
        """What the run is doing."""
        return self.view.status

    # --- telling it -----------------------------------------------------------------------------

    def pause(self) -> Self:
        """Finish the open round, save, then rest. Does nothing to a run that rests already."""
        self._ask("pausing", self.source.pause)
        return self

    def stop(self) -> Self:
        """End the run: the open round is given up, what is closed stays."""
        self._ask("stopping", self.source.stop)
        return self

    def _ask(self, doing: str, ask: Callable[[], None]) -> None:
        """Ask for something, and show that until the run rests: it may hear of it much later."""
        ask()
        self._asked = doing
        self.source.done().add_done_callback(self._rested)

    def _rested(self, _: Future[FLBaseError | None]) -> None:
        self._asked = ""

    def resume(self, **changes: Any) -> Self:
        """Go on from the last closed round.

        Args:
            **changes: Settings of the plan that may change on the way: `rounds`, `invite`,
                `need`, `deadline_s`, `close`, `evaluation`, `commit_every`.

        Raises:
            PlanError: Another setting, or a value that cannot work.
            RoundStateError: The run is finished or was stopped, or goes on and cannot be changed.
            FingerprintError: The task is no longer the one of the start.
        """
        before, self.source = self.source, self.source.resume(changes)
        self._asked = ""
        if self._display is not None and self.source is not before:
            self._follow(self._display)  # it was drawn before the run was driven here
        return self

    # --- waiting for it -------------------------------------------------------------------------

    def wait(self, timeout_s: float | None = None) -> Self:
        """Block until the run rests, showing it meanwhile.

        The first ^C only detaches: training goes on. A second one within two seconds pauses the
        run. In a scheduled notebook this is the last call: it draws the last frame itself.

        Args:
            timeout_s: Give up waiting (not the run) after so long.

        Raises:
            FLBaseError: Why the run paused by itself or failed, such as `InsufficientClientsError`.
            TimeoutError: It was still running after `timeout_s`.
        """
        future = self.source.done()
        if self._display is None:
            self.live()
        try:
            error = future.result(timeout_s)
        except KeyboardInterrupt:
            return self._detach()
        self._show_last()
        if error is not None:
            raise error
        return self

    def __await__(self) -> Generator[Any, None, Self]:
        """Wait without blocking the kernel's loop; cancelling cancels the wait only."""
        # The shield keeps a cancelled cell from cancelling the future that others wait on.
        error = yield from asyncio.shield(asyncio.wrap_future(self.source.done())).__await__()
        self._show_last()
        if error is not None:
            raise error
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """After an error the run rests, and can go on; otherwise it is waited for."""
        if kind is None:
            self.wait()
        else:
            self.pause()

    def _detach(self) -> Self:
        _say(f"{self.name} is still training; run.pause() rests it (^C again within 2 s does)")
        try:
            time.sleep(SECOND_INTERRUPT_S)
        except KeyboardInterrupt:
            self.pause()
            _say(f"{self.name} pauses after round {self.view.round + 1}; run.resume() goes on")
        return self

    def _show_last(self) -> None:
        if self._display is not None:
            self._display.show(self.view, final=True)

    # --- looking at it --------------------------------------------------------------------------

    def live(self) -> None:
        """Show the run while it goes: a frame in a notebook, a table in a terminal, else lines."""
        self._display = progress.here(later=self.source.later)
        self._follow(self._display)

    def panel(self) -> Any:
        """Show the run as a page with buttons, in a cell; in a browser: `flnb ui`.

        Returns:
            What Panel shows.

        Raises:
            PlanError: The pages are not installed.
        """
        return pages.page("run", self)

    def report(self, path: str | Path, *, clients: bool = True) -> Path:
        """Write the run as one HTML file, which opens anywhere, offline; returns where it lies.

        Args:
            path: Such as `run.html`; a file of before is replaced.
            clients: Whether single clients are named, and the words of who steered the run.

        Raises:
            StoreError: The file cannot be written.
        """
        return reports.write("run", self, path, clients=clients)

    def report_cell(self, *, clients: bool = True) -> Any:
        """Show that report in this cell, as the last one of a recipe does; see `report`."""
        return reports.shown("run", self, clients=clients)

    def _follow(self, display: progress.Progress) -> None:
        if self._unwatch is not None:
            self._unwatch()  # one frame moves: that of the cell that asked last
        # Watched first, so that no picture falls between the first one and the next.
        self._unwatch = self.source.watch(lambda view: display.show(view, final=view.status.over))
        display.show(self.view, final=self.status.over)

    def on_change(self, callback: Callable[[RunView], None]) -> Callable[[], None]:
        """Call back with every new picture, mostly on the coordinator's thread; returns the end."""
        return self.source.watch(callback)

    @property
    def metrics(self) -> Table:
        """Tidy metrics: run, branch, generation, round, scope, metric, value."""
        return self.source.table("metrics", "round, scope, metric")

    @property
    def events(self) -> Table:
        """What happened in each round, in order; a look at it shows the newest."""
        return self.source.table("events", "round, position").ending()

    @property
    def operations(self) -> Table:
        """Who did what to it, when and why; the newest last. See `Lab.operations`."""
        return operations(self.source.ask, self.name)

    @property
    def rounds(self) -> Table:
        """One row per closed round."""
        return self.source.table("rounds", "round")

    def round(self, number: int) -> RoundDetails | AttemptDetails:
        """Look into one round: a closed one, or one whose attempts failed so far.

        Raises:
            NotFoundError: There is no such round yet.
        """
        found = self.source.closing(number)
        if isinstance(found, FailedAttempt):
            return AttemptDetails(self.name, found)
        return RoundDetails(self.name, found)

    def model(self) -> Model:
        """The newest version that is in history, as one flat vector with its layout.

        Raises:
            NotFoundError: Nothing was committed yet.
        """
        return self.source.model()

    @property
    def parameters_sha256(self) -> str:
        """Digest of the newest version that is in history; "" before the first."""
        return self.source.parameters_sha256

    @property
    def _doing(self) -> str:
        """What it does, or was asked to do, in a word."""
        status = self.status
        return self._asked if self._asked and not status.over else str(status)

    def __repr__(self) -> str:
        """One line, from memory."""
        view = self.view
        newest = view.rows[0].metrics.get(view.headline) if view.rows else None
        score = f", {view.headline} {newest:.3f}" if newest is not None else ""
        doing = glance.state(view) if view.awaits and not self._asked else self._doing
        return f"Run({view.name!r}, {doing}, round {view.round}/{view.rounds}{score})"

    def _repr_mimebundle_(self, **_: object) -> Mapping[str, str]:
        view = self.view
        facts = {"rounds": f"{view.round} of {view.rounds}", "lab": view.lab}
        if view.awaits:
            facts["waits for"] = glance.awaited(view.awaited, view.here)
        if view.rows:
            newest = view.rows[0].metrics
            facts |= {name: f"{value:.4g}" for name, value in newest.items()}
        if view.curve:
            values = [value for _, value in view.curve]
            facts[f"{view.headline} by round"] = cards.sparkline(values, label=view.headline)
        if guards := self.plan.guards:
            facts["guards"] = " · ".join(map(str, guards))
        if view.noted:
            facts["a guard held"] = view.noted
        if view.error:
            facts["why"] = view.error
        return cards.bundle(repr(self), cards.card(f"Run {view.name}", facts, status=self._doing))


def _say(text: str) -> None:
    """Answer the person who pressed ^C, in the cell or terminal where they did."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
