"""What lower rooms need from higher ones, as protocols.

`Participants` is the port that every kind of cohort implements: the sequential engine, worker
processes, and later remote clients. It is synchronous; the coordinator calls it from a thread of
its bounded executor, so an implementation may block but must be callable from any one thread at a
time. `cancel` and `close` may come from another thread.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from flnb.core.ids import ClientId
from flnb.core.messages import CohortReport, MetricSum, Work


class Participants(Protocol):
    """A population that can be invited to rounds."""

    @property
    def clients(self) -> Mapping[ClientId, int]:
        """Every client that may be invited, with its number of examples."""
        ...

    def begin(self, work: Work, model: Any) -> None:
        """Hand out one stage of one cohort.

        Args:
            work: Who does what. Replaces whatever was begun before.
            model: The base version, a `flnb.tensors.Model`.
        """
        ...

    def collect(self, limit: int | None = None, into: Any = None) -> CohortReport | None:
        """Wait for answers, in the order in which they arrive.

        Args:
            limit: Hand over at most so many accepted rows at once (a round that closes on a
                quorum never asks for more than it still needs); None is all there will be.
            into: The `flnb.tensors.CohortSum` of the rows that were reported before. Whoever adds
                to it instead of making another one reports this one, and saves two models of
                memory.

        Returns:
            At least one row, or None when every row of the work has been reported.
        """
        ...

    def evaluate(self, model: Any) -> Mapping[str, MetricSum]:
        """Measure a model on the task's held-out data; empty when there is none.

        The result must not depend on how many workers share the work.
        """
        ...

    def cancel(self) -> None:
        """Make a running `collect` return soon; what was not reported is dropped."""
        ...

    def close(self) -> None:
        """Release everything: processes, shared memory, files."""
        ...


class Rule(Protocol):
    """A linear aggregation rule: what weight an update gets, and what the sum becomes."""

    @property
    def weighting(self) -> str:
        """`examples` or `equal`."""
        ...

    def combine(self, sums: Any) -> Any:
        """Turn a `flnb.tensors.CohortSum` into one `flnb.tensors.Update`."""
        ...


class ServerOptimiser(Protocol):
    """Applies the aggregated update to the global model: `(state, model, update) -> (state, model)`.

    Its state is a frozen dataclass of float32 vectors and numbers; it goes into each commit.
    """

    def init(self, layout: Any) -> Any:
        """State before the first round, for a `flnb.tensors.Layout`."""
        ...

    def apply(self, state: Any, model: Any, update: Any) -> tuple[Any, Any]:
        """Make the next version; never changes its arguments."""
        ...
