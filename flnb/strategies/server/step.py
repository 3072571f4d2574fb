"""What all server optimisers share: who is moved, who is averaged, and how to stay in the cache.

An optimiser sees parameters only. Floating buffers (running means of batch norm) take the plain
mean, model + update, whatever the optimiser; integer tensors take the update's value. Half
precision is rounded to its dtype at the end.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from jaxtyping import Float32

from flnb.core.errors import IntegrityError
from flnb.tensors import (
    BLOCK_VALUES,
    Layout,
    Model,
    Update,
    aligned,
    beside,
    blocks,
    largest_magnitude,
    round_halves,
)

Block = Float32[np.ndarray, " block"]
BlockStep = Callable[[slice, Block, Block], None]
"""`(span, delta, out)`: write the step for these parameters into `out`; `delta` is read-only."""
_ADVICE = "training diverged; lower local.lr or server_lr"


def moved(model: Model, update: Update, step: BlockStep) -> Model:
    """Make the next version, on the shelf of the one before; nothing is changed in place.

    Args:
        model: The version before.
        update: Aggregated deltas.
        step: Called once for each block of parameters, padding included.

    Raises:
        IntegrityError: The update is of another layout, or the step overflows float32 or the
            tensor's own half precision.
    """
    if reason := model.layout.differs_from(update.layout):
        raise IntegrityError(reason)
    layout = model.layout
    values = beside(model.values)
    try:
        with np.errstate(over="raise", invalid="raise", divide="raise"):
            for span in blocks(layout.parameter_span.stop):
                out = values[span]
                step(span, update.values[span], out)
                out += model.values[span]
            buffers = layout.buffer_span
            np.add(model.values[buffers], update.values[buffers], out=values[buffers])
    except FloatingPointError as error:
        raise IntegrityError(
            f"the server step leaves the range of float32 ({error})",
            hint=_ADVICE,
        ) from error
    round_halves(layout, values)
    _check_halves(model, values)
    return Model(layout, values, update.integers)


def _check_halves(model: Model, values: Float32[np.ndarray, " n"]) -> None:
    """Refuse a step that rounding to half precision made infinite; a mask may have been before."""
    for slot in model.layout.half_slots:
        now, before = values[slot.span], model.values[slot.span]
        # Two reductions first: they write nothing, and what they find is rare.
        if math.isinf(largest_magnitude(now)) and (np.isinf(now) & np.isfinite(before)).any():
            raise IntegrityError(
                f"the server step leaves the range of {slot.dtype} in {slot.name!r}", hint=_ADVICE
            )


def parameter_vector(layout: Layout, fill: float = 0.0) -> Float32[np.ndarray, " parameters"]:
    """Make a state vector with one value a parameter, as `BlockStep` spans count them."""
    vector = aligned(layout.parameter_span.stop, np.float32)
    if fill:
        vector[:] = fill
    return vector


def scratch() -> Block:
    """Make a block to compute in, for one call of `apply`."""
    return np.empty(BLOCK_VALUES, np.float32)
