"""A picture of a split: clients down, labels across, colour for how many examples.

The picture is made of *rows*: one a client, or, above 200 clients, one for several clients with
the same commonest label, so that the structure survives where single clients no longer can be
seen. The same rows are drawn as SVG (`picture_svg.py`) and, for terminals, as block characters.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64

from flnb.datasets.picture_svg import Row, draw

MOST_ROWS = 200
_TEXT_ROWS = 20
_TEXT_LABELS = 40
_TEXT_NAME = 20
_BLOCKS = " ░▒▓█"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class SplitPicture:
    """Client × label as a heat map, with the size of each client beside it.

    Shows itself as the last expression of a notebook cell; elsewhere its text is drawn with block
    characters.
    """

    clients: tuple[str, ...]
    sizes: Int64[np.ndarray, " clients"]
    labels: tuple[str, ...] = ()
    """Empty when the target is not classes; then only sizes are drawn."""
    counts: Int64[np.ndarray, "clients labels"] | None = None

    @property
    def title(self) -> str:
        """What the picture shows, in a sentence, with the least, median and greatest size."""
        n_examples, n_clients = int(self.sizes.sum()), len(self.clients)
        if not n_clients:
            return "No clients"
        if n_clients == 1:
            return f"1 client holds {n_examples:,} examples"
        least, median, most = self.sizes.min(), np.median(self.sizes), self.sizes.max()
        each = (
            f"{least:,} each" if least == most else f"{least:,} to {most:,}, median {median:,.0f}"
        )
        return f"{n_clients:,} clients share {n_examples:,} examples: {each}"

    def remarks(self, together: int = 1) -> str:
        """What else there is to know: labels a client, clients without data, what a row is."""
        parts = []
        if self.counts is not None and len(self.clients):
            held = np.median(np.count_nonzero(self.counts, axis=1))
            parts.append(f"a client holds {held:.0f} of {len(self.labels)} labels (median)")
        if empty := int(np.count_nonzero(self.sizes == 0)):
            parts.append(f"{empty:,} without data")
        if together > 1:
            parts.append(f"a row is the mean of {together} clients, ordered by commonest label")
        return " · ".join(parts)

    def svg(self) -> str:
        """Draw the picture as SVG; its text takes the colour of what surrounds it."""
        rows, together = self._rows(MOST_ROWS)
        unit = "examples" if together == 1 else "mean examples"
        remarks = self.remarks(together)
        return draw(rows, self.labels, title=self.title, remarks=remarks, unit=unit)

    def text(self) -> str:
        """Draw the picture with block characters, at most 20 rows and 40 labels."""
        rows, together = self._rows(_TEXT_ROWS)
        shown = self.labels[:_TEXT_LABELS]
        greatest = max((max(row.cells, default=0.0) for row in rows), default=0.0)
        largest = max((row.size for row in rows), default=0.0)
        width = max((len(row.name[:_TEXT_NAME]) for row in rows), default=0)
        lines = [self.title, *filter(None, [self.remarks(together)])]
        for row in rows:
            cells = _shade(row.cells[:_TEXT_LABELS], greatest) if shown else _bar(row.size, largest)
            lines.append(f"{row.name[:_TEXT_NAME]:<{width}} │{cells}│ {row.size:,.0f}")
        if shown:
            part = "" if len(shown) == len(self.labels) else f" (of {len(self.labels)})"
            legend = f"labels {shown[0]} … {shown[-1]}{part}, █ is {greatest:,.0f}"
            lines.append(f"{'':<{width}}  {legend}")
        return "\n".join(lines)

    def save(self, path: str | Path) -> Path:
        """Write the picture as an SVG file, and say where.

        Raises:
            ValueError: The name does not end in `.svg`.
        """
        target = Path(path)
        if target.suffix.lower() != ".svg":
            raise ValueError(f"a split is saved as .svg, got {target.name!r}")
        target.write_text(self.svg(), encoding="utf-8")
        return target

    def __repr__(self) -> str:
        return self.text()

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        # As HTML, because notebooks show image/svg+xml as an <img>, in which currentColor is black.
        return {"text/html": self.svg(), "text/plain": self.text()}

    def _rows(self, limit: int) -> tuple[list[Row], int]:
        counts = self.counts if self.counts is not None else np.zeros((len(self.clients), 0))
        cells = counts.astype(np.float64)
        if len(self.clients) <= limit:
            parts = zip(self.clients, cells, self.sizes, strict=True)
            return [Row(name, tuple(row), float(size)) for name, row, size in parts], 1
        together = -(-len(self.clients) // limit)
        order = _by_commonest_label(cells, self.sizes)
        starts = range(0, len(order), together)
        return [self._mean(cells, order[start : start + together]) for start in starts], together

    def _mean(
        self, cells: Float64[np.ndarray, "clients labels"], members: Int64[np.ndarray, " members"]
    ) -> Row:
        names = [self.clients[member] for member in members]
        name = names[0] if len(names) == 1 else f"{names[0]} + {len(names) - 1}"
        return Row(name, tuple(cells[members].mean(axis=0)), float(self.sizes[members].mean()))


def _by_commonest_label(
    cells: Float64[np.ndarray, "clients labels"], sizes: Int64[np.ndarray, " clients"]
) -> Int64[np.ndarray, " clients"]:
    commonest = cells.argmax(axis=1) if cells.shape[1] else np.zeros(len(cells), np.int64)
    return np.lexsort((-sizes, commonest))


def _shade(cells: Iterable[float], greatest: float) -> str:
    # The square root keeps small counts visible beside large ones, as in the drawing.
    return "".join(
        _BLOCKS[math.ceil(4 * math.sqrt(cell / greatest))] if cell else " " for cell in cells
    )


def _bar(size: float, largest: float) -> str:
    return f"{'█' * round(20 * size / largest) if largest else '':<20}"
