"""Tables of our own HTML: few rows, everything escaped, wide ones scroll in their own frame."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from flnb.core.cards import Html, escape

_LONG = 60
"""Letters that two lines of a narrow column hold."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its head, and how its cells stand."""

    head: str
    kind: str = ""
    """`n` for numbers, `name` for what may be long, `wrap` for sentences."""


def table(caption: str, columns: Sequence[Column], rows: Iterable[Sequence[object]]) -> Html:
    """Draw a table.

    Args:
        caption: What it lists, for those who do not see it.
        columns: Its columns.
        rows: Cells; escaped unless they are `Html`.
    """
    heads = "".join(f'<th scope="col" class="{c.kind}">{escape(c.head)}</th>' for c in columns)
    body = "".join(
        "<tr>"
        + "".join(
            f'<td class="{column.kind}">{escape(cell)}</td>'
            for column, cell in zip(columns, row, strict=True)
        )
        + "</tr>"
        for row in rows
    )
    return Html(
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(caption)}">'
        f"<table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def facts(pairs: Iterable[tuple[str, object]]) -> Html:
    """Labels and values in two columns."""
    rows = "".join(
        f'<tr><th scope="row">{escape(label)}</th><td class="wrap">{escape(value)}</td></tr>'
        for label, value in pairs
    )
    return Html(f'<div class="scroll"><table class="facts"><tbody>{rows}</tbody></table></div>')


def clipped(text: str) -> Html:
    """A text of which two lines are seen; the whole of a long one where the pointer rests."""
    whole = f' title="{escape(text)}"' if len(text) > _LONG else ""
    return Html(f'<span class="clip"{whole}>{escape(text)}</span>')
