"""Measuring a version: sums over fixed blocks, added so that the order of work cannot matter.

A block is measured by one process from start to end, and blocks are added in their order with
`MetricSum.added`, so that one worker and two give the same bits. A model or metric that draws random
numbers draws them from a seed by name, whatever the process did before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
import torch
from torch import Tensor

from flnb.core import ClientId, MetricSum, derive
from flnb.core.errors import DataError
from flnb.tasks.losses import one_number
from flnb.tasks.metrics import summed
from flnb.tasks.modules import seeded
from flnb.tasks.task import BLOCK_EXAMPLES, Task
from flnb.tensors import Model
from flnb.training.resident import Resident

Sums = Mapping[str, MetricSum]


def evaluate_block(resident: Resident, model: Model, block: range) -> Sums:
    """Measure a version on one block of the task's held-out examples.

    Generators are seeded by where the block starts, and by nothing else: every version of every run is
    measured with the same draws.

    Args:
        resident: Takes on the version.
        model: The version.
        block: One of `task.test_blocks()`.

    Returns:
        `loss` and every metric of the task, and where the data say whose held-out examples are, every
        metric of each one's apart (`accuracy_anna`).

    Raises:
        TaskError: The loss is not one number, what a metric gave cannot be added up, or the module
            has replaced a parameter.
    """
    resident.load(model)
    with seeded(derive(0, block=block.start, purpose="evaluation")):
        return _measured(resident, *resident.task.test_tensors(block), _parts(resident.task, block))


def evaluate_client(resident: Resident, model: Model, client: ClientId, seed: int) -> Sums:
    """Measure a version on all that a client has to train on, with generators seeded with `seed`.

    Raises:
        DataError: The client has no examples.
        TaskError: The loss is not one number, what a metric gave cannot be added up, or the module
            has replaced a parameter.
    """
    resident.load(model)
    rows = rows_of(resident.task, client)
    blocks = [rows[start : start + BLOCK_EXAMPLES] for start in range(0, len(rows), BLOCK_EXAMPLES)]
    with seeded(seed):
        return combine_blocks(
            [_measured(resident, *resident.task.train_tensors(block)) for block in blocks]
        )


def combine_blocks(blocks: Sequence[Sums]) -> Sums:
    """Add up what blocks gave, in their order; empty when there are none."""
    return {
        name: MetricSum.added(
            [block[name].total for block in blocks], [block[name].count for block in blocks]
        )
        for name in (blocks[0] if blocks else ())
    }


def rows_of(task: Task, client: ClientId) -> np.ndarray:
    """Find the rows of a client.

    Raises:
        DataError: It has none.
    """
    rows = task.split.indices(client)
    if not rows.size:
        raise DataError(
            f"client {client!r} has no examples",
            hint="see task.split.plot(); partitioners take min_examples, or do not invite it",
        )
    return rows


def _parts(task: Task, block: range) -> Mapping[str, Tensor]:
    """Whose examples of a block are measured apart, and which they are."""
    ids = task.data.test_ids
    if ids is None:
        return {}
    mine = ids[block.start : block.stop]
    return {part: torch.from_numpy(mine == part) for part in task.data.test_parts}


def _measured(
    resident: Resident,
    inputs: Tensor,
    targets: Tensor,
    parts: Mapping[str, Tensor] = MappingProxyType({}),
) -> Sums:
    task, n = resident.task, len(targets)
    resident.module.eval()
    # Not inference_mode: what a module keeps from then (rotary tables, masks) could not be trained
    # with, "Inference tensors cannot be saved for backward".
    with torch.no_grad():
        outputs = resident.module(inputs)
        loss = float(one_number(task.loss_function(outputs, targets)))
        sums = {"loss": MetricSum(loss * n, n)}
        for name, metric in task.metric_functions.items():
            sums[name] = summed(name, metric(outputs, targets), n)
            for part, mine in parts.items():
                # Whoever has none in this block has some in another: the names are those of all blocks.
                sums[f"{name}_{part}"] = (
                    summed(name, metric(outputs[mine], targets[mine]), int(mine.sum()))
                    if mine.any()
                    else MetricSum(0.0, 0.0)
                )
    resident.check()  # what computed may not have been this version
    return sums
