"""The training loop: what a client does with the version it received.

McMahan, Moore, Ramage, Hampson, Agüera y Arcas. "Communication-Efficient Learning of Deep Networks
from Decentralized Data", AISTATS 2017, Algorithm 1, `ClientUpdate`.
https://arxiv.org/abs/1602.05629

The result is a function of the task, the base version, the work and the client's name: the order
of batches and the generators (dropout) are seeded by name, and whatever the process did
before leaves nothing behind.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from flnb.core import SYSTEM_CLOCK, ClientId, Local, MetricSum, Work, derive, generator
from flnb.tasks import Task
from flnb.tasks.losses import one_number
from flnb.tasks.modules import seeded
from flnb.tensors import Model, Update
from flnb.training.descent import descent
from flnb.training.evaluate import evaluate_client, rows_of
from flnb.training.resident import Resident

SLAB_BYTES = 64 * 2**20
"""Batches are cut from copies of at most about this size."""


@dataclass(frozen=True, slots=True)
class LocalResult:
    """What a client has to say after training."""

    update: Update
    n_examples: int
    """Examples the client has, not those it has looked at."""
    loss: float
    """Mean over the steps of the loss before each step."""
    train_s: float
    metrics: Mapping[str, MetricSum] = field(default_factory=dict)
    """The received version on the client's own examples; empty unless the work is federated."""
    state: Mapping[str, np.ndarray] = field(default_factory=dict)
    """What a remote client wants to remember, float32 or int64; see `flnb.Client.remembered`."""


LocalTraining = Callable[[Resident, Model, Work, ClientId], LocalResult]
"""The client half of a strategy; `ClientHalf.entry` names one."""


def local_sgd(resident: Resident, base: Model, work: Work, client: ClientId) -> LocalResult:
    """Train a version on a client's own examples by stochastic gradient descent.

    Each epoch goes through a fresh permutation; its last batch may be smaller. When the work
    counts steps, epochs follow each other until they are done.

    Args:
        resident: The process's module; takes on `base`.
        base: The version that was received.
        work: What to do; `work.half.local` has the settings.
        client: Who does it.

    Raises:
        DataError: The client has no examples.
        TaskError: The loss is not one number, or what a metric gave cannot be added up.
    """
    started_s = SYSTEM_CLOCK.monotonic_s()
    local, rows = work.half.local, rows_of(resident.task, client)
    names: dict[str, str | int] = {"round": work.round, "attempt": work.attempt, "client": client}
    metrics: Mapping[str, MetricSum] = {}
    if work.federated:
        seed = derive(work.seed, **names, purpose="evaluation")
        metrics = evaluate_client(resident, base, client, seed)
    order = generator(work.seed, **names, purpose="batch-order")
    with seeded(derive(work.seed, **names, purpose="torch")):
        data = batches(resident.task, rows, local, order, no_single=resident.has_batch_norm)
        loss = _train(resident, base, local, data)
    return LocalResult(
        update=resident.delta(base),
        n_examples=len(rows),
        loss=loss,
        train_s=SYSTEM_CLOCK.monotonic_s() - started_s,
        metrics=metrics,
    )


def batches(
    task: Task,
    rows: np.ndarray,
    local: Local,
    order: np.random.Generator,
    *,
    no_single: bool = False,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Go through a client's examples in batches, as often as the settings say.

    Args:
        task: Holds the examples.
        rows: Those of the client.
        local: Batch size, and epochs or steps.
        order: Draws a permutation for each epoch.
        no_single: Let one example that is left over at the end of an epoch join the batch before:
            batch norm cannot normalise a single one.
    """
    sizes = _sizes(len(rows), local.batch_size or len(rows), no_single=no_single)
    n_steps = local.steps or (local.epochs or 1) * len(sizes)
    return itertools.islice(_epochs(task, rows, sizes, n_steps, order), n_steps)


def _sizes(n: int, size: int, *, no_single: bool) -> list[int]:
    sizes = [min(size, n - start) for start in range(0, n, size)]
    if no_single and len(sizes) > 1 and sizes[-1] == 1:
        sizes[-2:] = [sizes[-2] + 1]
    return sizes


def _epochs(
    task: Task, rows: np.ndarray, sizes: list[int], n_steps: int, order: np.random.Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    # Copied many batches at once and cut up: one call a slab, instead of several a step.
    example_bytes = 4 * int(np.prod(task.data.train.x.shape[1:], dtype=np.int64)) + 8
    slab = min(n_steps, max(1, SLAB_BYTES // (sizes[0] * example_bytes)))
    while True:
        shuffled = order.permutation(rows)
        start = 0
        for first in range(0, len(sizes), slab):
            mine = sizes[first : first + slab]
            x, y = task.train_tensors(shuffled[start : start + sum(mine)])
            yield from zip(torch.split(x, mine), torch.split(y, mine), strict=True)
            start += sum(mine)


def _train(
    resident: Resident, base: Model, local: Local, data: Iterator[tuple[Tensor, Tensor]]
) -> float:
    """Load the base version and run the loop.

    Returns:
        Mean loss over the steps.
    """
    resident.load(base)
    module, loss_of = resident.module.train(), resident.task.loss_function
    step = descent(resident, local)
    losses = []
    for inputs, targets in data:
        loss = one_number(loss_of(module(inputs), targets))
        step(resident.gradients(loss))
        losses.append(loss.detach())
    return float(torch.stack(losses).double().mean())
