"""One line a round, for logs, pipes and continuous integration."""

from __future__ import annotations

import sys

from flnb.core import glance
from flnb.core.view import RoundRow, RunView


class Lines:
    """Writes each closed round to stderr once, and the end of the run."""

    every_view = True
    """A log must not lose a round, so it is not thinned to four frames a second."""

    def __init__(self) -> None:
        self._written, self._generation = 0, 1
        self._rows: dict[int, object] = {}
        """What was measured in each round that was written: a head may be moved far back."""
        self._noted = self._ended = ""

    def show(self, view: RunView, *, final: bool = False) -> None:
        """Write the rounds that were not written yet."""
        if view.generation > self._generation:
            self._go_back(view)
        new = [row for row in reversed(view.rows) if row.round > self._written]
        inherited = [row for row in new if row.branch not in {"", view.branch}]
        if inherited:  # a branch goes on from rounds that its log would take for its own
            self._write(f"goes on after round {inherited[-1].round} of {inherited[-1].branch}")
        for row in new[len(inherited) :]:
            self._write(_line(row, view))
        self._written = max([self._written, *(row.round for row in new)])
        self._rows |= {row.round: _measured(row) for row in view.rows}
        if view.noted not in {"", self._noted}:
            self._noted = view.noted
            self._write(f"guard: {view.noted}")
        if final and self._ended != (end := glance.headline(view)):
            self._write(f"{end}\n{view.error}" if view.error else end)
            self._ended = end

    def _go_back(self, view: RunView) -> None:
        """The head was moved: rounds after what is the same as before are done again."""
        self._generation = view.generation
        same = [row.round for row in view.rows if self._rows.get(row.round) == _measured(row)]
        last = max(same, default=view.rows[-1].round - 1 if view.rows else 0)
        if last < self._written:
            self._written = last
            self._rows = {number: row for number, row in self._rows.items() if number <= last}
            self._write(f"goes on after round {last}, as generation {view.generation}")

    def _write(self, line: str) -> None:
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()


def _measured(row: RoundRow) -> object:
    """What tells a round from the one that is done again; its commit may come later."""
    return row.metrics, row.seconds


def _line(row: RoundRow, view: RunView) -> str:
    width = len(str(view.rounds))
    metrics = "".join(
        f"  {glance.words(name)} {glance.number(row.metrics[name])}"
        for name in glance.columns(view)
        if name in row.metrics
    )
    unused = f"  unused {row.refused}" if row.refused else ""
    used = f"used {row.accepted}/{row.invited}"
    return f"round {row.round:>{width}}/{view.rounds}{metrics}  {used}{unused}  {glance.seconds(row.seconds)}"
