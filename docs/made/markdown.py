"""Pieces of Markdown that the made pages are put together from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from inspect import cleandoc


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    r"""Write a table; what a cell says stays on one line.

    Examples:
        >>> print(table(["name", "meaning"], [["`a`", "this | that"]]))
        | name | meaning |
        |---|---|
        | `a` | this \| that |
    """
    lines = [head, ["---"] * len(head), *([_cell(text) for text in row] for row in rows)]
    return "\n".join(
        "|" + "|".join(line) + "|" if line[0] == "---" else f"| {' | '.join(line)} |"
        for line in lines
    )


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def code(text: object) -> str:
    """Write something as code; nothing stays nothing.

    Examples:
        >>> code("flnb run"), code("")
        ('`flnb run`', '')
    """
    words = str(text)
    fence = "``" if "`" in words else "`"
    return f"{fence}{words}{fence}" if words else ""


def first_paragraph(docstring: str | None) -> str:
    """The beginning of a docstring, on one line."""
    return " ".join(cleandoc(docstring or "").partition("\n\n")[0].split())


def page(title: str, about: str, *parts: str) -> str:
    """Put a page together: title, what it is, parts with an empty line between."""
    return "\n\n".join([f"# {title}", about, *filter(None, parts)]) + "\n"
