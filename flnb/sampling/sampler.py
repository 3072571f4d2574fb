"""What every sampler does, and which one a plan asks for.

A cohort follows from the seed, the round and the attempt, and from *who* is in the population, not
in which order they came. It is in ascending order of client ids, which is the order of its rows
everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from flnb.core import ClientId, Plan
from flnb.sampling.everybody import Everybody
from flnb.sampling.fixed_size import FixedSize
from flnb.sampling.poisson import Poisson


class Sampler(Protocol):
    """A way to draw a cohort."""

    def draw(
        self, population: Sequence[ClientId], *, seed: int, round: int, attempt: int
    ) -> tuple[ClientId, ...]:
        """Draw the cohort of one attempt at a round.

        Args:
            population: Everybody who may be invited, each once, in any order.
            seed: Public root of the run.
            round: Number of the round, from 1.
            attempt: A round that fails for want of updates is drawn anew with the next number.

        Returns:
            The cohort in ascending order.

        Raises:
            PlanError: The population is too small for the plan.
        """
        ...


def sampler_for(plan: Plan) -> Sampler:
    """Make the sampler that a plan asks for.

    Examples:
        >>> sampler_for(Plan(invite=3))
        FixedSize(n=3)
    """
    if plan.invite is None:
        return Everybody()
    return Poisson(plan.invite) if plan.sampling == "poisson" else FixedSize(plan.invite)
