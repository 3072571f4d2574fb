"""Axes of the figures: round ticks over a range, and where a value lies between the edges."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Axis:
    """A range of values that is drawn from one pixel to another."""

    low: float
    high: float
    start_px: float
    end_px: float

    @classmethod
    def over(
        cls, values: Iterable[float], start_px: float, end_px: float, air: float = 0.0
    ) -> Axis:
        """The axis that holds all finite values.

        Args:
            values: What is drawn; with nothing finite it goes from 0 to 1.
            start_px: Where its low end is.
            end_px: Where its high end is.
            air: Free on both ends, as a part of the range.
        """
        finite = [value for value in values if math.isfinite(value)]
        low, high = (min(finite), max(finite)) if finite else (0.0, 1.0)
        room = (high - low) * air or (abs(high) * 0.1 or 1.0) * (low == high)
        return cls(low - room, high + room, start_px, end_px)

    def px(self, value: float) -> float:
        """Where a value lies."""
        part = (value - self.low) / (self.high - self.low)
        return self.start_px + part * (self.end_px - self.start_px)

    def ticks(self, most: int = 5, *, whole: bool = False) -> list[float]:
        """Round numbers within the range, at most so many and one.

        Args:
            most: How many.
            whole: Whether there is nothing between whole numbers, such as rounds.

        Examples:
            >>> Axis(0.0, 0.93, 0, 100).ticks()
            [0.0, 0.2, 0.4, 0.6, 0.8]
        """
        step = _round_step((self.high - self.low) / most)
        step = max(1.0, step if step != 2.5 else 5.0) if whole else step
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        digits = max(0, 1 - math.floor(math.log10(step)))
        return [round(index * step, digits) for index in range(first, last + 1)]


def label(value: float) -> str:
    """A tick as text, as short as it can be.

    Examples:
        >>> label(0.2), label(12000.0), label(2500000.0), label(0.00001)
        ('0.2', '12,000', '2.5M', '1e-05')
    """
    size = abs(value)
    for limit, unit in ((1e9, "G"), (1e6, "M")):
        if size >= limit:
            return f"{value / limit:.4g}{unit}"
    if size and size < 1e-3:
        return f"{value:.2g}"
    return f"{value:,.10g}"


def _round_step(least: float) -> float:
    """The smallest of 1, 2, 2.5, 5 times a power of ten that is not below a step."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= least * 0.999)
