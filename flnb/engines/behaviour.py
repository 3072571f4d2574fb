"""How simulated clients behave: how slow they are, and how often they drop out.

Both are drawn by name (seed, round, attempt, client), so they depend neither on the engine nor
on the number of workers, and a round that is done again after a crash goes the same way. Nobody
waits: latency is simulated time, it decides the order of the answers and who is late.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from jaxtyping import Bool, Float64

from flnb.core import Work, derive
from flnb.core.errors import PlanError

_SIGMA = 0.5
_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How simulated clients behave.

    Args:
        slow: Simulated latency. None: everybody answers at once, in the order of the cohort. A
            number: so many seconds for everybody. `lognormal`: a median of one second with a long
            tail; `lognormal:0.8` sets the standard deviation of its logarithm (default 0.5).
        drop: Probability in [0, 1) that an invited client never answers.

    Raises:
        PlanError: A setting cannot be read or is out of range.

    Examples:
        >>> Behaviour(slow="lognormal:0.8", drop=0.05).sigma
        0.8
    """

    slow: float | str | None = None
    drop: float = 0.0

    def __post_init__(self) -> None:
        if not 0.0 <= self.drop < 1.0:
            raise PlanError(f"drop is a probability in [0, 1), got {self.drop!r}")
        scale = self.sigma if isinstance(self.slow, str) else self.slow or 0.0
        if not 0.0 <= scale < math.inf:
            raise PlanError(
                f"slow={self.slow!r} is no latency",
                hint="use None, seconds such as 0.5, 'lognormal' or 'lognormal:0.8'",
            )

    @property
    def sigma(self) -> float:
        """Standard deviation of the logarithm of the latency; NaN when it cannot be read."""
        name, _, width = str(self.slow).partition(":")
        if name != "lognormal":
            return math.nan
        try:
            return float(width or _SIGMA)
        except ValueError:
            return math.nan

    def latencies_s(self, work: Work) -> Float64[np.ndarray, " n"]:
        """Simulated seconds from assignment to answer, one a row."""
        if not isinstance(self.slow, str):
            return np.full(len(work.clients), float(self.slow or 0.0))
        normal = np.array([_NORMAL.inv_cdf(chance) for chance in _chances(work, "latency")])
        return np.exp(self.sigma * normal)

    def dropped(self, work: Work) -> Bool[np.ndarray, " n"]:
        """Who never answers, one a row."""
        if not self.drop:
            return np.zeros(len(work.clients), bool)
        return np.array(_chances(work, "drop")) < self.drop


def _chances(work: Work, purpose: str) -> list[float]:
    """A number in (0, 1) for each row; a generator for each would cost ten times as much."""
    names: dict[str, str | int] = {
        "round": work.round,
        "attempt": work.attempt,
        "purpose": purpose,
    }
    seeds = (derive(work.seed, client=client, **names) for client in work.clients)
    return [((seed >> 12) + 0.5) * 2.0**-52 for seed in seeds]
