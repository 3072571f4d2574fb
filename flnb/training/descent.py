"""The client's optimiser: gradient descent with momentum, weight decay, prox and clipping.

The order is torch's: the gradient of the objective (with the proximal term, when there is one) is
clipped, weight decay is added as in `torch.optim.SGD`, then momentum, then the step. The proximal
term is μ/2 · ‖w − w_base‖² of

    Li, Sahu, Zaheer, Sanjabi, Talwalkar, Smith. "Federated Optimization in Heterogeneous
    Networks", MLSys 2020, equation 2. https://arxiv.org/abs/1812.06127
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor

from flnb.core import Local
from flnb.tensors import aligned
from flnb.training.resident import Resident

Step = Callable[[list[Tensor]], None]
"""Changes the weights by one step, given the gradient of each."""


def descent(resident: Resident, local: Local) -> Step:
    """Make the optimiser of one client; call it when the base version has just been loaded."""
    if local.clip_grad_norm:
        return _Clipped(resident, local)
    if local.momentum:
        return _Momentum(resident, local)
    if local.weight_decay or local.prox_mu:
        return partial(_pulled_step, resident.weights, _copy(resident, local), local)
    # One pass over the gradients as autograd made them: they are never zeroed or added up.
    return partial(_plain_step, resident.weights, -local.lr)


def _plain_step(weights: list[Tensor], rate: float, gradients: list[Tensor]) -> None:
    torch._foreach_add_(weights, gradients, alpha=rate)


def _pulled_step(
    weights: list[Tensor], base: list[Tensor], local: Local, gradients: list[Tensor]
) -> None:
    """Pulls to zero and to the base version shrink the weights; then the plain step."""
    torch._foreach_mul_(weights, 1.0 - local.lr * (local.weight_decay + local.prox_mu))
    if base:
        torch._foreach_add_(weights, base, alpha=local.lr * local.prox_mu)
    torch._foreach_add_(weights, gradients, alpha=-local.lr)


class _Momentum:
    """Heavy-ball momentum. Gradients are only read: autograd may hand out one for two parameters."""

    def __init__(self, resident: Resident, local: Local) -> None:
        self._local, self._weights = local, resident.weights
        self._velocity, self._velocities = _vector(resident)
        self._base = _copy(resident, local)

    def __call__(self, gradients: list[Tensor]) -> None:
        local = self._local
        self._velocity.mul_(local.momentum)
        torch._foreach_add_(self._velocities, gradients)
        if pull := local.weight_decay + local.prox_mu:
            torch._foreach_add_(self._velocities, self._weights, alpha=pull)
        if self._base:
            torch._foreach_add_(self._velocities, self._base, alpha=-local.prox_mu)
        torch._foreach_add_(self._weights, self._velocities, alpha=-local.lr)


class _Clipped:
    """Everything, with the gradient's norm held down; that needs all of it in one flat vector.

    The vector is float32 for parameters of half precision too.
    """

    def __init__(self, resident: Resident, local: Local) -> None:
        self._local, self._weights = local, resident.weights
        self._gradient, self._gradients = _vector(resident)
        self._velocity, self._velocities = (
            _vector(resident) if local.momentum else (self._gradient, self._gradients)
        )
        self._base = _copy(resident, local)

    def __call__(self, gradients: list[Tensor]) -> None:
        local = self._local
        # An embedding may give sparse gradients, which cannot be copied into what is dense.
        dense = [part.to_dense() if part.is_sparse else part for part in gradients]
        torch._foreach_copy_(self._gradients, dense)
        if self._base:
            drift = torch._foreach_sub(self._weights, self._base)
            torch._foreach_add_(self._gradients, drift, alpha=local.prox_mu)
        norm = torch.linalg.vector_norm(self._gradient)
        self._gradient.mul_((local.clip_grad_norm / (norm + 1e-6)).clamp_(max=1.0))
        if local.weight_decay:
            torch._foreach_add_(self._gradients, self._weights, alpha=local.weight_decay)
        if local.momentum:
            self._velocity.mul_(local.momentum).add_(self._gradient)
        torch._foreach_add_(self._weights, self._velocities, alpha=-local.lr)


def _copy(resident: Resident, local: Local) -> list[Tensor]:
    """The base version, where the proximal term asks for it."""
    return [weight.clone() for weight in resident.weights] if local.prox_mu else []


def _vector(resident: Resident) -> tuple[Tensor, list[Tensor]]:
    """Make a vector of zeros that lies like the parameters, with a view for each trained one."""
    vector = torch.from_numpy(aligned(resident.layout.parameter_span.stop, np.float32))
    return vector, [vector[slot.span].view(slot.shape) for slot in resident.slots]
