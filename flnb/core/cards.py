"""Cards: how a public object looks in a notebook, as HTML without IPython.

A card takes its colours from where it stands (`currentColor` on a transparent ground, opacity for
quiet text), so that Lab in light and dark, VS Code and nbviewer all show it well. Styles are
inline: a notebook that is not trusted yet loses `<style>` elements. Everything that is not `Html`
is escaped, so a client that calls itself `<script>` is shown by its name.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Mapping, Sequence

from flnb.core import glance

_FONT = "font-family:system-ui,-apple-system,'Segoe UI',Roboto,sans-serif;font-size:13px;line-height:1.5"
_QUIET = "opacity:.65"
_RULE = "1px solid color-mix(in srgb,currentColor 18%,transparent)"
_CELL = "padding:2px 14px 2px 0;border:0;text-align:{};white-space:nowrap;font-size:13px;line-height:1.5"


class Html(str):
    """Text that is HTML already and is put in as it is."""

    __slots__ = ()


def escape(value: object) -> Html:
    """Make any value safe to stand in HTML; `Html` stays as it is."""
    return value if isinstance(value, Html) else Html(html.escape(str(value)))


def bundle(text: str, markup: str) -> dict[str, str]:
    """What `_repr_mimebundle_` returns: plain text for a terminal, HTML for a notebook."""
    return {"text/plain": text, "text/html": str(markup)}


def card(
    title: str,
    facts: Mapping[str, str],
    *,
    details: Mapping[str, str] | None = None,
    status: str = "",
) -> Html:
    """Draw an object as a small card.

    Args:
        title: What it is, such as `Lab ./lab`.
        facts: Label to value, shown as two columns; a value may be `Html`.
        details: Summary to content, each folded away until it is clicked; plain text keeps its
            lines, `Html` (a table, another card) goes in as it is.
        status: State of the object, such as `running`; drawn as shape, word and colour.

    Examples:
        >>> "&lt;script&gt;" in card("Client <script>", {"examples": "41"})
        True
    """
    head = f'<span style="font-weight:600">{escape(title)}</span>'
    if status:
        head += f'<span style="margin-left:12px">{badge(status)}</span>'
    rows = "".join(
        f'<tr style="background:transparent"><td style="{_CELL.format("left")};{_QUIET}">{escape(label)}</td>'
        f'<td style="{_CELL.format("left")};white-space:normal;overflow-wrap:anywhere">{escape(value)}</td></tr>'
        for label, value in facts.items()
    )
    body = (
        f'<table style="border:0;border-collapse:collapse;margin:4px 0 0">{rows}</table>'
        if rows
        else ""
    )
    folds = "".join(fold(summary, content) for summary, content in (details or {}).items())
    return framed(f"<div>{head}</div>{body}{folds}")


def framed(*parts: str) -> Html:
    """Put HTML into the frame that all cards share."""
    return Html(
        f'<div style="{_FONT};font-variant-numeric:tabular-nums;color:inherit;background:transparent;'
        f"border:{_RULE};border-radius:8px;padding:10px 14px;margin:2px 0;max-width:920px;"
        f'box-sizing:border-box;overflow-wrap:anywhere">{"".join(parts)}</div>'
    )


def fold(summary: str, content: str) -> Html:
    """Hide content behind its summary until somebody clicks it."""
    body = (
        content
        if isinstance(content, Html)
        else f'<pre style="margin:0;white-space:pre-wrap;background:transparent;color:inherit">{escape(content)}</pre>'
    )
    return Html(
        f'<details style="margin-top:6px"><summary style="cursor:pointer;{_QUIET}">{escape(summary)}</summary>'
        f'<div style="margin:4px 0 0 14px;overflow-x:auto">{body}</div></details>'
    )


def quiet(text: str) -> Html:
    """Text that stands back."""
    return Html(f'<span style="{_QUIET}">{escape(text)}</span>')


def badge(state: str) -> Html:
    """A state as shape, word and colour."""
    look = glance.mark(state)
    return Html(
        f'<span style="white-space:nowrap"><span style="color:{look.colour}">{look.shape}</span> {escape(look.word)}</span>'
    )


def table(heads: Sequence[str], rows: Iterable[Sequence[object]], *, left: int = 0) -> Html:
    """Draw rows as a table that scrolls sideways rather than being cut off.

    Args:
        heads: Column heads.
        rows: Cells, escaped unless they are `Html`.
        left: How many leading columns are text and stand left; numbers stand right.
    """
    sides = [_CELL.format("left" if index < left else "right") for index in range(len(heads))]
    top = "".join(
        f'<th style="{side};font-weight:400"><span style="{_QUIET}">{escape(head)}</span></th>'
        for side, head in zip(sides, heads, strict=True)
    )
    body = "".join(
        '<tr style="background:transparent">'
        + "".join(
            f'<td style="{side}">{escape(cell)}</td>' for side, cell in zip(sides, row, strict=True)
        )
        + "</tr>"
        for row in rows
    )
    return Html(
        '<div style="overflow-x:auto"><table style="border:0;border-collapse:collapse;margin:0">'
        f'<thead style="border-bottom:{_RULE}"><tr style="background:transparent">{top}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def meter(done: int, total: int, width_px: int = 160) -> Html:
    """A progress bar; its text stands in where drawings are taken out."""
    share = min(1.0, max(0.0, done / total)) if total else 0.0
    return Html(
        f'<svg role="img" width="{width_px}" height="8" style="vertical-align:middle;max-width:100%">'
        f"<title>{glance.bar(done, total)}</title>"
        f'<rect width="{width_px}" height="8" rx="4" fill="currentColor" opacity=".15"/>'
        f'<rect width="{share * width_px:.1f}" height="8" rx="4" fill="currentColor" opacity=".7"/></svg>'
    )


def sparkline(
    values: Sequence[float], *, label: str = "", width_px: int = 220, height_px: int = 48
) -> Html:
    """A curve without axes, as inline SVG; its text stands in where drawings are taken out.

    Args:
        values: Points from left to right; those that are not finite are left out.
        label: What is drawn; shown with the first and last value when the pointer rests on it.
        width_px: Width of the drawing.
        height_px: Height of the drawing.

    Returns:
        Nothing when there are no two points to join.
    """
    finite = [value for value in values if math.isfinite(value)]
    if len(finite) < 2:
        return Html("")
    low, high = min(finite), max(finite)
    step, scale = (width_px - 8) / (len(finite) - 1), (height_px - 8) / ((high - low) or 1.0)
    points = [
        (4 + index * step, height_px - 4 - (value - low) * scale)
        for index, value in enumerate(finite)
    ]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    words = f"{label} {glance.spark(finite)} {glance.number(finite[0])} → {glance.number(finite[-1])}".strip()
    return Html(
        f'<svg role="img" width="{width_px}" height="{height_px}" style="vertical-align:middle;max-width:100%">'
        f'<title>{escape(words)}</title><polyline points="{path}" fill="none" stroke="currentColor" '
        f'stroke-width="1.5" stroke-linejoin="round" opacity=".75"/>'
        f'<circle cx="{points[-1][0]:.1f}" cy="{points[-1][1]:.1f}" r="2.5" fill="currentColor"/></svg>'
    )
