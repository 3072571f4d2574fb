"""The live table of a terminal: a run that moves in place, on stderr."""

from __future__ import annotations

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from flnb.core import glance
from flnb.core.view import RunView


class LiveTable:
    """Draws one run in place; what is there when the run rests stays on the screen."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, highlight=False)
        self._live: Live | None = None
        self._rested: RunView | None = None

    def show(self, view: RunView, *, final: bool = False) -> None:
        """Draw the table anew; a final one is left standing."""
        if self._live is None:
            if view == self._rested:
                return
            # Data that somebody prints to stdout must not be led into this table.
            self._live = Live(console=self._console, auto_refresh=False, redirect_stdout=False)
            self._live.start()
        self._live.update(picture(view), refresh=True)
        if final:
            self._live.stop()
            self._live, self._rested = None, view


def picture(view: RunView) -> Group:
    """The run as something that rich can draw."""
    parts: list[Text | Table] = [_head(view), *_facts(view)]
    if view.noted:
        parts.append(Text(f"guard: {view.noted}", style="yellow"))
    if view.error:
        parts.append(Text(view.error, style=glance.mark(view.status).colour))
    if view.rows:
        parts += [Text(), _rounds(view)]
    if len(view.curve) > 1:
        curve = glance.spark((value for _, value in view.curve), 40)
        latest = glance.number(view.curve[-1][1])
        label = (f"{glance.words(view.headline)} ", "dim")
        parts.append(Text.assemble(label, curve, " ", (latest, "bold")))
    return Group(*parts)


def _head(view: RunView) -> Text:
    state = glance.mark(view.status)
    return Text.assemble(
        (view.name, "bold"),
        (f" {view.branch} · gen {view.generation}  ", "dim"),
        (state.shape, state.colour),
        f" {state.word}  round ",
        (str(view.round), "bold"),
        f"/{view.rounds} {glance.bar(view.round, view.rounds, 12)}",
    )


def _facts(view: RunView) -> list[Text]:
    sent = f"up {glance.size(view.bytes_up)}" if view.bytes_up else ""
    clients = glance.clients(view)
    lines = ["   ".join(filter(None, (glance.pace(view), sent))), clients and f"clients {clients}"]
    return [Text(line, style="dim") for line in lines if line]


def _rounds(view: RunView) -> Table:
    metrics = glance.columns(view)
    grid = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for head in glance.heading(metrics):
        grid.add_column(head, justify="right", no_wrap=True)
    for row in view.rows:
        grid.add_row(*glance.cells(row, metrics))
    return grid
