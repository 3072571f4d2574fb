"""One client after the other, in whichever process this is.

Both engines do their work through this class: the sequential one in the process of the
coordinator, the other one in each worker.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from flnb.core import MetricSum, Outcome, Work
from flnb.core.errors import IntegrityError, TaskError
from flnb.engines.answers import Answers, Ledger
from flnb.tasks import Task
from flnb.tensors import CohortSum, Model, Update, l2_norm
from flnb.training import (
    LocalResult,
    Resident,
    evaluate_block,
    find_training,
    user_traceback,
)


class ClientWork:
    """Trains clients, checks what they give, and adds it up.

    Args:
        task: Whose model and data are used.
    """

    def __init__(self, task: Task) -> None:
        self._task = task
        self._resident = Resident(task)

    def begin(self, work: Work, base: Model) -> None:
        """Open a piece of work; drops what was added up before.

        Raises:
            TaskError: There is no local training of that name.
        """
        self._train_client = find_training(work.half)
        self._work, self._base = work, base
        self._sums = CohortSum(base.layout)
        self._updates: dict[int, Update] = {}

    def train(self, rows: Sequence[int], stopped: Callable[[], bool]) -> Answers:
        """Train the clients in these rows; those not yet begun are left out once `stopped`."""
        ledger = Ledger(rows)
        for row in rows:
            if stopped():
                break
            self._train_row(row, ledger)
        return ledger.close()

    def hand_over(self) -> CohortSum:
        """Give away the sum of all accepted updates since the last time."""
        sums, self._sums = self._sums, CohortSum(self._base.layout)
        return sums

    def hand_over_updates(self) -> dict[int, Update]:
        """Give away the accepted updates since the last time by row, if the work asks for them."""
        updates, self._updates = self._updates, {}
        return updates

    def evaluate(self, model: Model, blocks: Sequence[int]) -> list[Mapping[str, MetricSum]]:
        """Measure a model on some of the held-out blocks, by their position.

        Raises:
            TaskError: The task cannot be measured; tells what its own code raised.
        """
        held_out = self._task.test_blocks()
        try:
            return [evaluate_block(self._resident, model, held_out[block]) for block in blocks]
        except TaskError:
            raise
        except Exception as error:  # model, loss and metrics may raise anything
            raise TaskError(
                f"task {self._task.name!r} cannot be measured:\n{user_traceback(error)}"
            ) from error

    def _train_row(self, row: int, ledger: Ledger) -> None:
        client = self._work.clients[row]
        try:
            result = self._train_client(self._resident, self._base, self._work, client)
            _check_result(result)
        except (Exception, SystemExit) as error:  # a client's code may raise anything
            ledger.enter(Outcome.FAILED, reason=user_traceback(error))
            return
        reason = self._fold(result)
        if self._work.keep_updates and not reason:
            self._updates[row] = result.update
        ledger.enter(
            Outcome.REFUSED if reason else Outcome.ACCEPTED,
            n_examples=result.n_examples,
            train_s=result.train_s,
            loss=result.loss,
            norm=l2_norm(result.update.values),
            metrics=result.metrics,
            reason=reason,
        )

    def _fold(self, result: LocalResult) -> str:
        """Add an update to the sum, or say why not."""
        weight = result.n_examples if self._work.weighting == "examples" else 1
        try:
            self._sums.fold(result.update, weight)
        except IntegrityError as error:  # the sum looked at every value; now find better words
            return result.update.check(self._base.layout) or str(error)
        return ""


def _check_result(result: LocalResult) -> None:
    """See that a client half of somebody's own gives what can be written down and added up."""
    n: Any = result.n_examples
    if not isinstance(n, int | np.integer) or not 0 <= n < 2**63:
        raise TaskError(f"the client half has n_examples={n!r}, expected how many there are")
    for name, metric in result.metrics.items():
        if not isinstance(metric, MetricSum):
            raise TaskError(f"the client half has metric {name!r} {metric!r}, expected a MetricSum")
    if result.state:
        raise TaskError(
            f"the client half remembers {', '.join(result.state)}: simulated clients keep no state",
            hint="train it with remote clients: flnb.Client(invite, task, train=…)",
        )
