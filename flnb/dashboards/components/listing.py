"""A long list a page at a time: words that a row must hold, an order, and where one is."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

PAGE = 25
"""Rows that a browser gets at a time."""


@dataclass(frozen=True, slots=True)
class Shown:
    """The rows of one page of a list."""

    rows: pd.DataFrame
    page: int
    """From 1; the last one if more was asked for."""
    pages: int
    total: int
    """Rows that fit, on all pages."""

    @property
    def words(self) -> str:
        """Such as `26–50 of 312`."""
        if not self.total:
            return "none"
        first = (self.page - 1) * PAGE + 1
        return f"{first:,}–{first + len(self.rows) - 1:,} of {self.total:,}"


def part_of(frame: pd.DataFrame, *, find: str, within: str, sort: str, page: int) -> Shown:
    """One page of a list.

    Args:
        frame: All rows.
        find: Words, all of which a row must hold; in any case.
        within: Column that is looked through.
        sort: Column, with `-` before it for the largest first; rows without a value come last.
        page: Which page, from 1.
    """
    for word in find.lower().split():
        frame = frame[frame[within].str.lower().str.contains(word, regex=False)]
    column = sort.removeprefix("-")
    if column in frame:
        frame = frame.sort_values(
            column, ascending=not sort.startswith("-"), na_position="last", kind="stable"
        )
    pages = max(1, -(-len(frame) // PAGE))
    page = min(max(1, page), pages)
    return Shown(frame.iloc[(page - 1) * PAGE : page * PAGE], page, pages, len(frame))
