"""A study while it is executed: a bar with the time that is left, in a cell, a terminal or a log."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from flnb.core import SYSTEM_CLOCK, Clock, cards, glance
from flnb.core.progress import INTERVAL_S, in_kernel
from flnb.store import Outcome, StudyCell

_OVER = (Outcome.FINISHED, Outcome.FAILED, Outcome.OUT_OF_TIME)


@dataclass(frozen=True, slots=True)
class StudyView:
    """How a study stands."""

    name: str
    counts: Mapping[Outcome, int]
    total: int
    running: tuple[str, ...] = ()
    """What is executed at this moment, in words."""
    left_s: float | None = None
    """Seconds that the rest will take; None before anything has been executed."""
    note: str = ""
    """What a person should know besides."""

    @property
    def over(self) -> int:
        """How many cells nothing more becomes of by itself."""
        return sum(self.counts.get(outcome, 0) for outcome in _OVER)

    @property
    def unfinished(self) -> int:
        """How many cells are not finished, for whatever reason."""
        return self.total - self.counts.get(Outcome.FINISHED, 0)

    @property
    def words(self) -> str:
        """Such as `3 finished · 1 failed · 2 running · 6 waiting`."""
        return " · ".join(
            f"{n} {outcome}" for outcome in Outcome if (n := self.counts.get(outcome))
        )

    @property
    def line(self) -> str:
        """The study in one line."""
        left = f"   {glance.seconds(self.left_s)} left" if self.left_s is not None else ""
        done = f"{self.over}/{self.total} {glance.bar(self.over, self.total)}"
        return f"{self.name}  {done}  {self.words}{left}"

    @classmethod
    def of(cls, name: str, cells: Sequence[StudyCell], **more: Any) -> StudyView:
        """The picture of the cells that a study asks for."""
        asked = [cell for cell in cells if cell.asked]
        return cls(name, Counter(cell.outcome for cell in asked), len(asked), **more)

    def markup(self) -> cards.Html:
        """The study as HTML."""
        meter = cards.meter(self.over, self.total)
        facts: dict[str, str] = {"cells": cards.Html(f"{self.over}/{self.total} &nbsp;{meter}")}
        facts["so far"] = self.words or "nothing"
        if self.left_s is not None:
            facts["left"] = glance.seconds(self.left_s)
        if self.running:
            facts["running"] = ", ".join(self.running)
        if self.note:
            facts["note"] = self.note
        return cards.card(f"Study {self.name}", facts)


class Display(Protocol):
    """Shows a study while it goes."""

    def show(self, view: StudyView, *, final: bool = False) -> None:
        """Draw it as it is now; a final picture stays."""
        ...

    def say(self, text: str) -> None:
        """Write a line that stays."""
        ...


class Off:
    """Shows nothing."""

    def show(self, view: StudyView, *, final: bool = False) -> None:
        """Do nothing."""

    def say(self, text: str) -> None:
        """Do nothing."""


class Lines:
    """Writes a line when a cell has ended, for logs."""

    def show(self, view: StudyView, *, final: bool = False) -> None:
        """Write the last line."""
        if final:
            self.say(view.line)

    def say(self, text: str) -> None:
        """Write a line to stderr."""
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()


class Terminal:
    """A bar that moves in place, on stderr."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live

        self._console = Console(stderr=True, highlight=False, markup=False)
        self._live = Live(console=self._console, auto_refresh=False, redirect_stdout=False)
        self._live.start()

    def show(self, view: StudyView, *, final: bool = False) -> None:
        """Draw the bar anew."""
        from rich.text import Text

        lines = [view.line, *(f"  {one}" for one in view.running), view.note]
        self._live.update(Text("\n".join(line for line in lines if line)), refresh=True)
        if final:
            self._live.stop()

    def say(self, text: str) -> None:
        """Write a line above the bar."""
        self._console.print(text)


class Frame:
    """One output of a cell, which is replaced; what ended stays below it as text."""

    def __init__(self) -> None:
        self._handle: Any = None
        self._said: list[str] = []
        self._view: StudyView | None = None

    def show(self, view: StudyView, *, final: bool = False) -> None:
        """Draw the frame, or replace it."""
        from IPython.display import display

        self._view = view
        text = "\n".join([view.line, *self._said])
        markup = view.markup()
        if self._said:
            markup = cards.Html(markup + cards.fold("what ended", "\n".join(self._said)))
        content = cards.bundle(text, markup)
        if self._handle is None:
            self._handle = display(content, raw=True, display_id=True)  # type: ignore[no-untyped-call]  # IPython has no types
        else:
            self._handle.update(content, raw=True)

    def say(self, text: str) -> None:
        """Keep a line for the next frame."""
        self._said.append(text)


class Throttled:
    """Lets at most four pictures a second through, and the final one always."""

    def __init__(self, inner: Display, clock: Clock = SYSTEM_CLOCK) -> None:
        self._inner, self._clock = inner, clock
        self._next_s = 0.0

    def show(self, view: StudyView, *, final: bool = False) -> None:
        """Draw it, unless one was drawn just now."""
        if final or self._clock.monotonic_s() >= self._next_s:
            self._next_s = self._clock.monotonic_s() + INTERVAL_S
            self._inner.show(view, final=final)

    def say(self, text: str) -> None:
        """Write a line that stays."""
        self._inner.say(text)


def here() -> Display:
    """The display that fits where this process runs; `FLNB_PROGRESS` overrides, as for runs."""
    wanted = os.environ.get("FLNB_PROGRESS", "")
    if wanted == "off":
        return Off()
    if wanted == "notebook" or (not wanted and in_kernel()):
        return Throttled(Frame())
    terminal = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
    if wanted == "terminal" or (not wanted and terminal):
        return Throttled(Terminal())
    return Lines()
