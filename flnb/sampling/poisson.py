"""Each client decides on its own: what the accounting of differential privacy assumes.

McMahan, Ramage, Talwar, Zhang. "Learning Differentially Private Recurrent Language Models", ICLR
2018, Algorithm 1 (each user independently with probability q). https://arxiv.org/abs/1710.06963
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from flnb.core import ClientId, generator
from flnb.core.errors import PlanError


@dataclass(frozen=True, slots=True)
class Poisson:
    """Invite each client independently, with the probability that gives `expected` on average.

    A cohort may be larger or smaller, and may be empty.
    """

    expected: float

    def __post_init__(self) -> None:
        if not self.expected > 0:
            raise PlanError(f"a cohort needs an expected size above 0, got {self.expected}")

    def draw(
        self, population: Sequence[ClientId], *, seed: int, round: int, attempt: int
    ) -> tuple[ClientId, ...]:
        """Draw a cohort, in ascending order; it may be empty.

        Raises:
            PlanError: The population is smaller than `expected`.

        Examples:
            >>> Poisson(2).draw(["c0", "c1"], seed=0, round=1, attempt=0)
            ('c0', 'c1')
        """
        if self.expected > len(population):
            raise PlanError(
                f"the plan expects {self.expected:,} clients a round, there are {len(population):,}",
                hint=f'set invite to {len(population):,} or less, or sampling="all"',
            )
        people = sorted(population)
        random = generator(seed, round=round, attempt=attempt, purpose="cohort")
        invited = np.flatnonzero(random.random(len(people)) < self.expected / len(people))
        return tuple(people[position] for position in invited)
