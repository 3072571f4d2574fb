"""Losses by name: `loss(outputs, targets)` gives the mean over the batch as one number.

A loss of your own is any such callable. Targets of whole numbers arrive as int64, all others as
float32.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import torch.nn.functional as F  # noqa: N812  # what everybody calls it
from torch import Tensor

from flnb.core.errors import TaskError, did_you_mean

Loss = Callable[[Tensor, Tensor], Tensor]
"""Outputs of the module and targets to the mean over the batch, a tensor without dimensions."""


def mean_squared_error(outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean of (output − target)²; targets take the shape of the outputs."""
    return F.mse_loss(outputs, targets.to(outputs.dtype).view_as(outputs))


def binary_cross_entropy(outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean log loss of targets in [0, 1], for outputs that are logits (no sigmoid in the model)."""
    return F.binary_cross_entropy_with_logits(outputs, targets.to(outputs.dtype).view_as(outputs))


LOSSES: Mapping[str, Loss] = MappingProxyType(
    {
        # Logits [n, classes, …] and class numbers [n, …]; torch's own, for it is in every step.
        "cross_entropy": F.cross_entropy,
        "mse": mean_squared_error,
        "binary_cross_entropy": binary_cross_entropy,
    }
)


def one_number(given: Any) -> Tensor:
    """Pass on what a loss gave.

    Raises:
        TaskError: It is not one number.
    """
    if not isinstance(given, Tensor) or given.ndim:
        found = f"shape {tuple(given.shape)}" if isinstance(given, Tensor) else type(given).__name__
        raise TaskError(
            f"the loss gave {found}, expected a tensor of one number",
            hint="take the mean over the batch",
        )
    return given


def find_loss(loss: str | Loss) -> Loss:
    """Look a loss up by name; a callable is taken as it is.

    Raises:
        TaskError: No loss of that name, or something that cannot be called.
    """
    if callable(loss):
        return loss
    if loss not in LOSSES:
        raise TaskError(
            f"there is no loss {loss!r}",
            hint=f"{did_you_mean(str(loss), LOSSES)} (or any callable(outputs, targets) -> mean)",
        )
    return LOSSES[loss]
