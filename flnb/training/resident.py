"""One module per process, whose tensors live in one flat vector.

Loading a version is then one copy and taking the difference one subtraction, whatever the number
of tensors. Gradients are handed over by the autograd engine instead of being added up in `.grad`:
nothing has to be set to zero, and a plain SGD step reads each of them once.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from torch.autograd import Variable
from torch.nn.modules.batchnorm import _BatchNorm

from flnb.core.errors import TaskError
from flnb.tasks import Task
from flnb.tasks.modules import Fixed, check_alike, named_tensors
from flnb.tensors import Model, Slot, Update, aligned, largest_magnitude, unfilled

# What torch.autograd.grad calls after 40 µs of checks in Python, a tenth of a step of a small
# network. Not public; tests/training compares it with torch's own loop.
_run_backward = Variable._execution_engine.run_backward


class Resident:
    """A module that takes on one version after the other.

    float32 and int64 tensors are views into two vectors that lie like those of a `Model`; tensors
    of other dtypes keep their own memory and are copied, exactly, both ways. Nothing of one
    client is left when the next version is loaded, except what a module keeps outside parameters
    and buffers. Uses as many threads as torch is set to; bits are only the same for the same
    number, so a process that trains calls `torch.set_num_threads(1)` once.

    Args:
        task: Whose module to build; read `task` for the data that is trained on.

    Raises:
        TaskError: The module cannot be trained, or comes out differently each time it is built.
    """

    def __init__(self, task: Task) -> None:
        self.task = task
        self.layout = task.layout
        self.module = task.build()
        self.has_batch_norm = any(isinstance(m, _BatchNorm) for m in self.module.modules())
        self._values = aligned(self.layout.n_values, np.float32)
        self._integers = aligned(self.layout.n_integers, np.int64)
        self._copied: list[tuple[Tensor, Tensor]] = []
        self._inputs: tuple[Tensor, ...] = ()
        self.weights: list[Tensor] = []
        """The parameters that are trained, out of autograd's sight: what an optimiser changes."""
        self.slots: list[Slot] = []
        """Where they lie."""
        self._untrained = [self.layout.buffer_span]
        self._bind()
        self._fixed = Fixed(self.module)
        self._buffers = [
            (layer._buffers, name, tensor)
            for layer in self.module.modules()
            for name, tensor in layer._buffers.items()
            if tensor is not None
        ]

    def check(self) -> None:
        """See that the module still computes with what lies in the vectors.

        Raises:
            TaskError: It has replaced a parameter; says which.
        """
        self._fixed.check()

    def load(self, model: Model) -> None:
        """Take on a version.

        Raises:
            TaskError: The version is of another layout; the first difference is named. Or the module
                has replaced a parameter.
        """
        self.check()
        if model.layout is not self.layout and (reason := self.layout.differs_from(model.layout)):
            raise TaskError(f"this version is not of task {self.task.name!r}: {reason}")
        np.copyto(self._values, model.values)
        np.copyto(self._integers, model.integers)
        for tensor, view in self._copied:
            tensor.copy_(view)
        for buffers, name, tensor in self._buffers:
            buffers[name] = tensor

    def delta(self, model: Model) -> Update:
        """Take what changed since `model` was loaded: floats as difference, integers as they are.

        What is not trained and infinite before and after, such as a mask of attention, did not
        change.

        Raises:
            TaskError: The module has replaced a parameter; says which.
        """
        self.check()
        for buffers, name, tensor in self._buffers:
            # A layer may have put a new tensor in the place of its buffer.
            if (now := buffers[name]) is not tensor and now is not None:
                tensor.copy_(now.detach())
        for tensor, view in self._copied:
            view.copy_(tensor)
        values = unfilled(self.layout.n_values, np.float32)
        integers = unfilled(self.layout.n_integers, np.int64)
        with np.errstate(invalid="ignore"):  # infinity less infinity
            np.subtract(self._values, model.values, out=values)
        for span in self._untrained:
            # Two reductions: what they find is rare, and comparing everything would write an array.
            if math.isnan(largest_magnitude(values[span])):
                held, before = self._values[span], model.values[span]
                values[span][(held == before) & np.isinf(before)] = 0.0
        np.copyto(integers, self._integers)
        return Update(self.layout, values, integers)

    def gradients(self, loss: Tensor) -> list[Tensor]:
        """Differentiate a loss by every trained parameter: zero where it does not depend on it.

        The tensors are not to be changed: one may stand for two parameters, or be expanded.
        """
        found: tuple[Tensor | None, ...] = _run_backward(
            (loss,),
            (torch.ones_like(loss),),
            False,  # the graph is used once
            False,  # and not differentiated itself
            self._inputs,
            allow_unreachable=True,
            accumulate_grad=False,
        )
        return [
            torch.zeros_like(weight) if gradient is None else gradient
            for weight, gradient in zip(self.weights, found, strict=True)
        ]

    def _bind(self) -> None:
        """Move the module's tensors into the vectors."""
        values, integers = torch.from_numpy(self._values), torch.from_numpy(self._integers)
        check_alike(self.module, self.layout)
        tensors = named_tensors(self.module)
        for slot, (_, tensor, _) in zip(self.layout.slots, tensors, strict=True):
            view = (values if slot.floating else integers)[slot.span].view(slot.shape)
            if tensor.dtype == view.dtype:
                tensor.data = view
            else:
                self._copied.append((tensor.detach(), view))
            if tensor.requires_grad and slot.kind == "parameter":
                self._inputs += (tensor,)
                self.weights.append(tensor.detach())
                self.slots.append(slot)
            elif slot.floating and slot.kind == "parameter":
                self._untrained.append(slot.span)
