"""All clients in this process, one after the other.

For debugging (a breakpoint in the model works) and as the oracle that the other engines are
compared with, bit by bit.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Int64

from flnb.core import Work
from flnb.engines.clientwork import ClientWork
from flnb.engines.cohort import Cohort
from flnb.engines.simulated import Cancelled, Measurement, SimulatedParticipants
from flnb.tensors import CohortSum, Model


class SequentialEngine(SimulatedParticipants):
    """Simulated clients that are trained where this object lives.

    Args:
        task: What is trained.
        behaviour: How slow the clients are and how often they drop out.
        clients: How many of the split's clients take part, the first ones; None is all.

    Raises:
        PlanError: The split has fewer clients than that.
    """

    def _open(self, work: Work, model: Model) -> None:
        self._here.begin(work, model)

    def _train(self, cohort: Cohort, rows: Int64[np.ndarray, " k"], sums: CohortSum) -> None:
        with _one_torch_thread():
            answers = self._here.train(rows.tolist(), self._cancelled.is_set)
        if self._cancelled.is_set():
            raise Cancelled
        cohort.note(answers)
        sums.merge(self._here.hand_over())
        cohort.keep(self._here.hand_over_updates())

    def _measure(self, model: Model, blocks: list[int]) -> Iterator[Measurement]:
        for block in blocks:
            if self._closed:
                raise Cancelled
            with _one_torch_thread():
                (metrics,) = self._here.evaluate(model, [block])
            yield block, metrics

    def _release(self) -> None:
        self.__dict__.pop("_here", None)

    @cached_property
    def _here(self) -> ClientWork:
        # Made when it is first needed, for a task may take seconds to build.
        return ClientWork(self._task)


@contextmanager
def _one_torch_thread() -> Iterator[None]:
    """Give torch one thread for a while, as workers have: how a sum is split changes its bits."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
