"""Full participation: the cohort is the population."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flnb.core import ClientId


@dataclass(frozen=True, slots=True)
class Everybody:
    """Invite everybody to each round."""

    def draw(
        self, population: Sequence[ClientId], *, seed: int, round: int, attempt: int
    ) -> tuple[ClientId, ...]:
        """Return the population in ascending order.

        Examples:
            >>> Everybody().draw(["c1", "c0"], seed=0, round=1, attempt=0)
            ('c0', 'c1')
        """
        return tuple(sorted(population))
