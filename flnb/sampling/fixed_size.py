"""A fixed number of clients, drawn without replacement.

McMahan, Moore, Ramage, Hampson, Agüera y Arcas. "Communication-Efficient Learning of Deep
Networks from Decentralized Data", AISTATS 2017, Algorithm 1 (S_t: a random set of m clients).
https://arxiv.org/abs/1602.05629
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flnb.core import ClientId, generator
from flnb.core.errors import PlanError


@dataclass(frozen=True, slots=True)
class FixedSize:
    """Invite `n` clients; every set of `n` is equally likely, each round on its own."""

    n: int

    def __post_init__(self) -> None:
        if self.n < 1:
            raise PlanError(f"a cohort needs 1 client or more, got {self.n}")

    def draw(
        self, population: Sequence[ClientId], *, seed: int, round: int, attempt: int
    ) -> tuple[ClientId, ...]:
        """Draw `n` clients, in ascending order.

        Raises:
            PlanError: The population is smaller than `n`.

        Examples:
            >>> len(FixedSize(2).draw(["c0", "c1", "c2"], seed=0, round=1, attempt=0))
            2
        """
        if self.n > len(population):
            raise PlanError(
                f"the plan invites {self.n:,} clients a round, there are {len(population):,}",
                hint=f'set invite to {len(population):,} or less, or sampling="all"',
            )
        people = sorted(population)
        random = generator(seed, round=round, attempt=attempt, purpose="cohort")
        drawn = random.choice(len(people), self.n, replace=False, shuffle=False)
        drawn.sort()
        return tuple(people[position] for position in drawn)
