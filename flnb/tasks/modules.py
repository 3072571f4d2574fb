"""From a torch module to a flat model and back.

The layout takes the names of `named_parameters` and `named_buffers`; both name a tensor that is
used twice once, so tied weights are one tensor here too.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import torch
from numpy.random.mtrand import get_bit_generator, set_bit_generator
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parameter import is_lazy

from flnb.core.errors import TaskError
from flnb.tasks.losses import Loss, one_number
from flnb.tasks.metrics import Metric, summed
from flnb.tensors import Layout, Model, aligned

_SEEDED = threading.RLock()
"""Each library has one generator for the whole process: a client that trains in one thread must not share
it with a coordinator that makes or measures a model in another."""
_NUMPYS = np.random.MT19937(0)
"""Takes the place of NumPy's own: to exchange them costs a fifth of saving and restoring 625 words."""


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Run a block with the generators of torch, NumPy and `random` seeded, then put them back.

    Modules are other people's code, and draw from whichever is at hand. Other threads wait with their
    own such blocks until this one is done. NumPy makes normal numbers in pairs; a second one that nobody
    had taken is lost, both on the way in and on the way out.

    Args:
        seed: Its lowest 64 bits count; it may be negative.
    """
    torchs, seed = torch.default_generator, seed & (2**64 - 1)
    with _SEEDED:
        numpys = get_bit_generator()
        before = torchs.get_state(), random.getstate()
        try:
            torchs.manual_seed(seed)
            random.seed(seed)
            set_bit_generator(_NUMPYS if numpys is not _NUMPYS else np.random.MT19937(0))
            np.random.seed([seed & 0xFFFFFFFF, seed >> 32])  # noqa: NPY002  # what other people's code draws from
            yield
        finally:
            torchs.set_state(before[0])
            random.setstate(before[1])
            set_bit_generator(numpys)


def built(model: Callable[[], nn.Module], seed: int) -> nn.Module:
    """Make a fresh module under a seed.

    Raises:
        TaskError: `model` gave something else than a module.
    """
    with seeded(seed):
        module = model()
    if not isinstance(module, nn.Module):
        raise TaskError(
            f"model() must give a torch.nn.Module, it gave {type(module).__name__}",
            hint="pass the class, or a function that makes the module: model=Net",
        )
    for _, tensor, _ in named_tensors(module):
        if not is_lazy(tensor) and _repeats_itself(tensor):
            # A buffer that was expanded could not be loaded: its values share their memory.
            tensor.data = tensor.detach().clone()
    return module


def named_tensors(module: nn.Module) -> Iterator[tuple[str, Tensor, str]]:
    """Name, tensor and kind of everything that a version of the model holds, in layout order."""
    for name, parameter in module.named_parameters():
        yield name, parameter, "parameter"
    for name, buffer in module.named_buffers():
        yield name, buffer, "buffer"


def layout_of(module: nn.Module) -> Layout:
    """Lay the tensors of a module out.

    Raises:
        TaskError: Nothing to train, a lazy layer without a size, a tensor that is not on the CPU or
            is sparse, or a dtype that is not carried (float64, complex).
    """
    tensors = list(named_tensors(module))
    if not any(tensor.requires_grad for _, tensor, _ in tensors):
        raise TaskError(
            f"{type(module).__name__} has no parameters to train",
            hint="register layers as attributes, in nn.Sequential or nn.ModuleList, not in a list",
        )
    for name, tensor, _ in tensors:
        if is_lazy(tensor):
            raise TaskError(
                f"tensor {name!r} has no shape yet, for its layer is lazy",
                hint="give the layer its input size, or run one example through the module "
                "inside model()",
            )
        if tensor.device.type != "cpu":
            raise TaskError(
                f"tensor {name!r} is on {tensor.device}, models are built on the CPU",
                hint="leave out .to(device) in model()",
            )
        if tensor.layout is not torch.strided:
            raise TaskError(
                f"tensor {name!r} is {str(tensor.layout).removeprefix('torch.')}, "
                "which flnb does not carry",
                hint="make it dense, or keep it as a plain attribute if it never changes",
            )
    return Layout.of(
        (name, tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."), kind)
        for name, tensor, kind in tensors
    )


def check_alike(module: nn.Module, layout: Layout) -> None:
    """See that a module came out as the one whose layout was looked at.

    Raises:
        TaskError: It has other tensors.
    """
    tensors = [(name, tuple(tensor.shape)) for name, tensor, _ in named_tensors(module)]
    if tensors != [(slot.name, slot.shape) for slot in layout.slots]:
        raise TaskError(
            f"the module {type(module).__name__} comes out differently each time it is built",
            hint="model() must not depend on anything that changes",
        )


class Fixed:
    """The parameters of a module, as it was built: nobody may put others, or other memory, in their place.

    What is trained, sent and averaged is the first ones; a layer that makes another in its forward
    would go on with that, and learn nothing.
    """

    def __init__(self, module: nn.Module) -> None:
        self._module = module
        # The detached ones hold on to the memory: no other tensor comes to lie at its address.
        self._places = {
            path: (parameter, parameter.detach())
            for path, parameter in module.named_parameters(remove_duplicate=False)
        }

    def check(self) -> None:
        """See that they are there, and in the memory where they were.

        Raises:
            TaskError: One was replaced, or a layer with it; says which.
        """
        now = dict(self._module.named_parameters(remove_duplicate=False))
        for path, (parameter, memory) in self._places.items():
            if now.get(path) is not parameter or parameter.data_ptr() != memory.data_ptr():
                raise TaskError(
                    f"{type(self._module).__name__} replaces its parameter {path!r} while it computes, "
                    "so that what is trained is not what it uses",
                    hint="make layers and parameters in __init__ and change their values alone, "
                    "`with torch.no_grad(): w.copy_(…)`; what is computed from them is a plain tensor",
                )


def to_model(module: nn.Module, layout: Layout) -> Model:
    """Copy the tensors of a module into a model.

    Raises:
        TaskError: The module has other tensors than the layout.
    """
    check_alike(module, layout)
    values, integers = aligned(layout.n_values, np.float32), aligned(layout.n_integers, np.int64)
    for slot, (_, tensor, _) in zip(layout.slots, named_tensors(module), strict=True):
        wide = tensor.detach().to(torch.float32 if slot.floating else torch.int64)
        slot.view(values if slot.floating else integers)[...] = wide.numpy()
    return Model(layout, values, integers)


def into_module(model: Model, module: nn.Module) -> None:
    """Copy a model into the tensors of a module."""
    with torch.no_grad():
        for slot, (_, tensor, _) in zip(model.layout.slots, named_tensors(module), strict=True):
            tensor.copy_(torch.from_numpy(model.tensor(slot.name).copy()))


def concerns(module: nn.Module) -> tuple[str, ...]:
    """What may surprise somebody who trains this module with many clients, in words."""
    found = []
    norms = [name for name, layer in module.named_modules() if isinstance(layer, _BatchNorm)]
    if norms:
        found.append(
            f"batch norm in {_some(norms)}: running statistics are averaged over clients, which "
            "hurts when their data differ; consider GroupNorm"
        )
    names: dict[int, list[str]] = {}
    for name, parameter in module.named_parameters(remove_duplicate=False):
        names.setdefault(id(parameter), []).append(name)
    found += [
        f"tied weights: {' = '.join(tied)} is one tensor, sent and averaged once"
        for tied in names.values()
        if len(tied) > 1
    ]
    return tuple(found)


def trial(
    module: nn.Module,
    loss: Loss,
    metrics: Mapping[str, Metric],
    inputs: Tensor,
    targets: Tensor,
) -> tuple[str, tuple[str, ...]]:
    """Compute a loss, its gradient and the metrics once.

    Evaluation mode, because batch norm could not train on a single example; the generators are
    left as they were, and nobody else who wants them seeded has them meanwhile.

    Returns:
        What went wrong with the loss, or "", and with metrics, a sentence each.
    """
    with seeded(0):
        # Anything may be raised by code that is not ours; it is what the caller wants to know.
        fixed = Fixed(module)
        try:
            torch.autograd.backward(one_number(loss(module.eval()(inputs), targets)))
            fixed.check()
        except TaskError as error:
            return error.message, ()
        except Exception as error:
            return f"{type(error).__name__}: {error}", ()
        return "", tuple(_metric_trial(module, metrics, inputs, targets))


def _metric_trial(
    module: nn.Module, metrics: Mapping[str, Metric], inputs: Tensor, targets: Tensor
) -> Iterator[str]:
    # As where they are measured, without a gradient: a metric may go through NumPy.
    with torch.no_grad():
        outputs = module(inputs)
        for name, metric in metrics.items():
            try:
                summed(name, metric(outputs, targets), len(targets))
            except TaskError as error:
                yield error.message
            except Exception as error:
                yield f"metric {name!r} fails: {type(error).__name__}: {error}"


def _repeats_itself(tensor: Tensor) -> bool:
    """Whether several values of a tensor lie at one place, as `expand` makes them."""
    return tensor.layout is torch.strided and any(
        step == 0 and size > 1 for step, size in zip(tensor.stride(), tensor.shape, strict=True)
    )


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
