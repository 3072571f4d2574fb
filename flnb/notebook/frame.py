"""The live frame: a run that keeps moving in its cell while later cells compute.

One HTML output with a display id is drawn once and then replaced. That needs no widget and no
comm, works in Lab, VS Code and nbviewer, and the last frame is saved with the notebook. Nothing is
printed: a `print` from the coordinator's thread would land in whichever cell runs at that moment.
"""

from __future__ import annotations

import contextvars
from typing import Any

from IPython.display import display

from flnb.core import cards, glance
from flnb.core.cards import Html
from flnb.core.view import RunView


class NotebookFrame:
    """Shows one run in one output of one cell, and replaces it from any thread."""

    def __init__(self) -> None:
        self._handle: Any = None

    def show(self, view: RunView, *, final: bool = False) -> None:
        """Draw the frame, or replace it."""
        content = cards.bundle(text(view), markup(view))
        if self._handle is None:
            self._handle = display(content, raw=True, display_id=True)  # type: ignore[no-untyped-call]  # IPython has no types
        else:
            # The coordinator's loop carries the context of the cell that started it. A message sent
            # from that context would belong to that cell, and nbclient (so papermill, too) drops
            # what does not belong to the cell that runs now.
            contextvars.Context().run(self._handle.update, content, raw=True)


def markup(view: RunView) -> Html:
    """The frame as HTML."""
    parts = [_line(*_head(view)), _line(*(cards.quiet(fact) for fact in _facts(view)))]
    if view.error:
        parts.append(
            Html(
                f'<div style="margin-top:6px;padding-left:10px;white-space:pre-wrap;'
                f'border-left:3px solid {glance.mark(view.status).colour}">{cards.escape(view.error)}</div>'
            )
        )
    if view.rows:
        metrics = glance.columns(view)
        rows = [glance.cells(row, metrics) for row in view.rows]
        table = cards.table(glance.heading(metrics), rows)
        parts.append(_line(table, _curve(view), gap_px=36, top_px=8))
    return cards.framed(*parts)


def text(view: RunView) -> str:
    """The frame as plain text, for outputs that cannot show HTML."""
    state = glance.mark(view.status)
    head = f"{view.name}  {view.branch}  gen {view.generation}   {state.shape} {state.word}   "
    head += f"round {view.round}/{view.rounds} {glance.bar(view.round, view.rounds)}  {glance.pace(view)}"
    lines = [head.rstrip(), "   ".join(_facts(view))]
    if view.error:
        lines.append(view.error)
    if view.rows:
        metrics = glance.columns(view)
        table = [glance.heading(metrics), *(glance.cells(row, metrics) for row in view.rows)]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines += [
            "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
            for row in table
        ]
    if len(view.curve) > 1:
        lines.append(f"{view.headline} {glance.spark(value for _, value in view.curve)}")
    return "\n".join(line for line in lines if line)


def _head(view: RunView) -> list[Html]:
    name = f'<b style="font-weight:600">{cards.escape(view.name)}</b>'
    where = cards.quiet(f"{view.branch} · gen {view.generation}")
    progress = cards.meter(view.round, view.rounds)
    return [
        Html(f"{name} &nbsp;{where}"),
        cards.badge(view.status),
        Html(f"round <b>{view.round}</b>/{view.rounds} &nbsp;{progress}"),
        cards.quiet(glance.pace(view)),
    ]


def _facts(view: RunView) -> list[str]:
    facts = [f"clients {glance.clients(view)}"] if glance.clients(view) else []
    facts += [f"up {glance.size(view.bytes_up)}"] if view.bytes_up else []
    facts += [f"lab {view.lab}"] if view.lab else []
    return facts


def _curve(view: RunView) -> Html:
    values = [value for _, value in view.curve]
    drawing = cards.sparkline(values, label=view.headline, width_px=280, height_px=96)
    if not drawing:
        return Html("")
    label = cards.quiet(glance.words(view.headline))
    return Html(
        f"<div>{label} &nbsp;<b>{glance.number(values[-1])}</b></div>"
        f'<div style="margin-top:4px">{drawing}</div>'
    )


def _line(*parts: Html, gap_px: int = 20, top_px: int = 0) -> Html:
    """Parts side by side, which wrap where the page is narrow."""
    cells = "".join(f'<div style="min-width:0">{part}</div>' for part in parts if part)
    return Html(
        f'<div style="display:flex;flex-wrap:wrap;align-items:flex-start;gap:2px {gap_px}px;'
        f'margin-top:{top_px}px">{cells}</div>'
    )
