"""Pieces of a report's HTML: numbers, tables, facts, sections. All text is escaped."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from flnb.core import glance
from flnb.core.cards import Html, escape

NOTHING = "–"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: its head, and how its cells stand."""

    head: str
    kind: str = ""
    """`n` for numbers, `wrap` for sentences and long names."""


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a report under a heading of its own."""

    title: str
    content: Html

    @property
    def anchor(self) -> str:
        """By what the list of contents finds it."""
        return self.title.lower().replace(" ", "-")


def value(number: float | None, shown: str = "") -> Html:
    """A number: short for people, with all its digits for programs.

    Args:
        number: What was measured; None and NaN are nothing.
        shown: How people read it; by default with three decimals.

    Examples:
        >>> value(0.9134123)
        '<data value="0.9134123">0.913</data>'
    """
    if number is None or math.isnan(number):
        return Html(f'<data value="">{NOTHING}</data>')
    exact = repr(number) if isinstance(number, int) else repr(float(number))
    return Html(f'<data value="{exact}">{escape(shown or glance.number(float(number)))}</data>')


def count(number: float | None) -> Html:
    """A whole number."""
    missing = number is None or math.isnan(number)
    return value(None) if missing else value(int(number or 0), f"{int(number or 0):,}")


def size(n_bytes: float | None) -> Html:
    """An amount of bytes."""
    missing = n_bytes is None or math.isnan(n_bytes)
    return value(None) if missing else value(int(n_bytes or 0), glance.size(n_bytes or 0))


def seconds(seconds_s: float | None) -> Html:
    """A length of time."""
    missing = seconds_s is None or math.isnan(seconds_s)
    return value(None) if missing else value(seconds_s, glance.seconds(seconds_s or 0.0))


def spread(mean: float, sd: float) -> Html:
    """A mean with its standard deviation, which one value does not have."""
    return Html(value(mean) if math.isnan(sd) else f"{value(mean)}&nbsp;±&nbsp;{value(sd)}")


def state(word: str) -> Html:
    """A state as shape, word and colour."""
    look = glance.mark(word)
    return Html(
        f'<span class="state {_KINDS.get(look.word, "quiet")}"><span aria-hidden="true">{look.shape}</span> '
        f"{escape(look.word)}</span>"
    )


_KINDS = {
    "finished": "good", "running": "good", "failed": "bad", "refused": "bad",
    "paused": "busy", "waiting": "quiet", "interrupted": "busy", "late": "busy",
}  # fmt: skip


def table(caption: str, columns: Sequence[Column], rows: Iterable[Sequence[object]]) -> Html:
    """Draw rows under a caption, which is numbered; a wide table scrolls in its own frame.

    Args:
        caption: A sentence on what it shows.
        columns: Its columns.
        rows: Cells, escaped unless they are `Html`.
    """
    heads = "".join(
        f'<th scope="col" class="{column.kind}">{escape(column.head)}</th>' for column in columns
    )
    body = "".join(
        "<tr>"
        + "".join(
            f'<td class="{column.kind}">{escape(cell)}</td>'
            for column, cell in zip(columns, row, strict=True)
        )
        + "</tr>"
        for row in rows
    )
    return framed_table(caption, f"<thead><tr>{heads}</tr></thead><tbody>{body}</tbody>")


def framed_table(caption: str, markup: str, *, kind: str = "") -> Html:
    """Put the rows of a table, which are HTML already, under its caption.

    Args:
        caption: A sentence on what it shows.
        markup: `<thead>` and `<tbody>`.
        kind: Its class.
    """
    return Html(
        f'<figure class="table"><figcaption>{escape(caption)}</figcaption><div class="scroll" tabindex="0" '
        f'role="region" aria-label="{escape(caption)}"><table class="{kind}">{markup}</table></div></figure>'
    )


def facts(pairs: Mapping[str, object]) -> Html:
    """Labels and values in two columns."""
    rows = "".join(
        f"<div><dt>{escape(label)}</dt><dd>{escape(told)}</dd></div>"
        for label, told in pairs.items()
    )
    return Html(f'<dl class="facts">{rows}</dl>')


def key_figures(figures: Mapping[str, tuple[object, str]]) -> Html:
    """What a reader sees first: label, number, and what stands below it."""
    parts = "".join(
        f'<div><dt>{escape(label)}</dt><dd>{escape(number)}</dd><dd class="quiet">{escape(below)}</dd></div>'
        for label, (number, below) in figures.items()
    )
    return Html(f'<dl class="key">{parts}</dl>')


def note(text: object, kind: str = "") -> Html:
    """A remark that stands out."""
    return Html(f'<p class="note {kind}">{escape(text)}</p>')


def paragraph(text: object) -> Html:
    """A sentence or two."""
    return Html(f"<p>{escape(text)}</p>")


def code(text: str) -> Html:
    """Lines of a program, as they are."""
    return Html(f"<pre>{escape(text)}</pre>")


def fold(summary: str, content: str) -> Html:
    """Hide content behind its summary, on a screen; paper shows it."""
    return Html(f"<details><summary>{escape(summary)}</summary>{escape(content)}</details>")


def joined(*parts: str) -> Html:
    """Parts below each other; each is escaped unless it is `Html`."""
    return Html("".join(map(escape, parts)))
