"""Driving a run to its end in this process, with ^C as a clean way out."""

from __future__ import annotations

import logging
import queue
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import typer

from flnb.cli import addresses, output
from flnb.core import progress
from flnb.core.errors import LabLostError
from flnb.core.view import RunView, Status

if TYPE_CHECKING:
    from flnb.coordinator import Run


def drive(run: Run, lab: Path) -> RunView:
    """Show a run until it rests.

    The first ^C pauses it: the open round is finished and saved. The second gives up at once,
    which loses at most the rounds since the last save.

    Returns:
        The finished run's last picture.

    Raises:
        typer.Exit: It did not finish: 130 after ^C, 3 if another process took the lab over, else 1;
            why is on stderr.
    """
    rested = run.source.done()  # of the process that drives it, wherever it goes on later
    with _interrupt() as interrupted, _quiet():
        try:
            view = _show_until_it_rests(run, interrupted)
        except KeyboardInterrupt:
            output.say(f"left in the middle of a round\n→ {_resume(run.name, lab)}")
            raise
    if view.status is Status.FINISHED:
        return view
    if isinstance(lost := rested.result(), LabLostError):
        watch = f"{output.program()} runs watch {view.name}{addresses.options(lab)}"
        output.say(f"{view.name} goes on elsewhere; watch it with {watch}")
        raise typer.Exit(lost.exit_code)
    output.say(how_to_go_on(view, lab))
    raise typer.Exit(output.INTERRUPTED if interrupted() else output.FAILED)


def how_to_go_on(view: RunView, lab: Path) -> str:
    """Where a run rests, and the command that carries on if there is one."""
    where = f"{view.name} is {view.status} after round {view.round}/{view.rounds}"
    if view.status is Status.STOPPED:
        return where
    return f"{where}\n→ {_resume(view.name, lab)}"


def _resume(name: str, lab: Path) -> str:
    return f"{output.program()} runs resume {name}{addresses.options(lab)}"


def spoken(view: RunView) -> RunView:
    """A picture whose hints name commands of a terminal."""
    return replace(view, error=output.as_commands(view.error, view.name))


def _show_until_it_rests(run: Run, interrupted: Callable[[], bool]) -> RunView:
    display, told = progress.here(), False
    # Pictures come from the coordinator's thread and are drawn in this one.
    views: queue.SimpleQueue[RunView] = queue.SimpleQueue()
    unsubscribe = run.on_change(views.put)
    view = run.view
    try:
        while True:
            display.show(spoken(view), final=view.status.over)
            if view.status.over:
                return view
            if interrupted() and not told:
                told = True
                output.say("pausing after this round; ^C again leaves at once")
                run.pause()
            try:
                view = views.get(timeout=0.1)
            except queue.Empty:
                view = run.view
    finally:
        unsubscribe()


@contextmanager
def _quiet() -> Iterator[None]:
    """Leave what guards find to the display, which tells it with the round."""
    found = logging.getLogger("flnb.coordinator.guarding")
    before = found.level
    found.setLevel(logging.ERROR)
    try:
        yield
    finally:
        found.setLevel(before)


@contextmanager
def _interrupt() -> Iterator[Callable[[], bool]]:
    """Let the first ^C be a wish, and the second what it usually is."""
    count = 0

    def on_interrupt(_number: int, _frame: FrameType | None) -> None:
        nonlocal count
        count += 1
        if count > 1:
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, on_interrupt)
    try:
        yield lambda: count > 0
    finally:
        signal.signal(signal.SIGINT, before)
