"""A version of the model, and a change to it: flat, read-only, aligned."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int64

from flnb.core.errors import IntegrityError
from flnb.tensors.arrays import frozen, largest_magnitude
from flnb.tensors.layout import Layout


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """A version of the model.

    The arrays are read-only windows that start on 64 bytes; memory that is already aligned, such
    as shared memory, is not copied, so its owner must leave it alone.

    Raises:
        IntegrityError: An array is of another dtype or length than the layout says.
    """

    layout: Layout
    values: Float32[np.ndarray, " n"]
    """All floating tensors; half precision is kept exactly."""
    integers: Int64[np.ndarray, " k"]
    """All integer and boolean tensors."""

    def __post_init__(self) -> None:
        _settle(self)

    def __reduce__(self) -> tuple[type[Model], tuple[Layout, np.ndarray, np.ndarray]]:
        return Model, (self.layout, self.values, self.integers)  # unpickling must align again

    def tensor(self, name: str) -> np.ndarray:
        """See one tensor in its shape: float32 for floating ones, int64 for the rest.

        Raises:
            KeyError: The model has no tensor of that name.
        """
        return _tensor(self, name)

    def sha256(self) -> str:
        """Digest of the layout and of every value: equal for equal bits, on every machine."""
        digest = hashlib.sha256(self.layout.hash.encode())
        digest.update(self.values.data)
        digest.update(self.integers.data)
        return digest.hexdigest()


@dataclass(frozen=True, slots=True, eq=False)
class Update:
    """What a client (or a whole cohort) changed: trained minus base.

    Arrays as in `Model`.

    Raises:
        IntegrityError: An array is of another dtype or length than the layout says.
    """

    layout: Layout
    values: Float32[np.ndarray, " n"]
    """Difference of every floating tensor."""
    integers: Int64[np.ndarray, " k"]
    """New value of every integer tensor: counters have no meaningful difference."""

    @classmethod
    def between(cls, base: Model, trained: Mapping[str, np.ndarray]) -> Update:
        """Make an update of tensors that were trained; those that are not named stay as they were.

        What is infinite before and after, such as a mask of attention, did not change.

        Args:
            base: The version that was trained.
            trained: New values, by name, in the shape of `base.tensor(name)`.

        Raises:
            KeyError: The model has no tensor of that name.
            IntegrityError: A tensor has another shape.
        """
        values, integers = np.zeros_like(base.values), base.integers.copy()
        for name, new in trained.items():
            slot, old = base.layout.slot(name), base.tensor(name)
            if np.shape(new) != old.shape:
                raise IntegrityError(f"{name} has shape {np.shape(new)}, the model's {old.shape}")
            if slot.floating:
                slot.view(values)[...] = _change(old, new)
            else:
                slot.view(integers)[...] = new
        return cls(base.layout, values, integers)

    def __post_init__(self) -> None:
        _settle(self)

    def __reduce__(self) -> tuple[type[Update], tuple[Layout, np.ndarray, np.ndarray]]:
        return Update, (self.layout, self.values, self.integers)

    def tensor(self, name: str) -> np.ndarray:
        """See one tensor's change in its shape (the new value for an integer tensor).

        Raises:
            KeyError: The model has no tensor of that name.
        """
        return _tensor(self, name)

    def check(self, base: Layout) -> str:
        """Say why this update must be refused, or "" if it may be used.

        Args:
            base: Layout of the version that was trained.
        """
        if reason := base.differs_from(self.layout):
            return reason
        if math.isfinite(largest_magnitude(self.values)):
            return ""
        counts = {
            slot.name: slot.size - int(np.isfinite(slot.view(self.values)).sum())
            for slot in base.slots
            if slot.floating
        }
        first = next((name for name, count in counts.items() if count), "padding")
        return f"{sum(counts.values())} values are NaN or infinite, the first in {first!r}"


def _change(old: np.ndarray, new: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):  # infinity less infinity
        change = np.subtract(new, old)
    return np.where(np.isinf(old) & (new == old), 0.0, change)


def _settle(owner: Model | Update) -> None:
    layout = owner.layout
    for name, dtype, length in (
        ("values", np.float32, layout.n_values),
        ("integers", np.int64, layout.n_integers),
    ):
        array = getattr(owner, name)
        if array.dtype != dtype or array.shape != (length,):
            raise IntegrityError(
                f"{type(owner).__name__}.{name} is {array.dtype}{list(array.shape)}, "
                f"expected {np.dtype(dtype)}[{length}]"
            )
        object.__setattr__(owner, name, frozen(array))


def _tensor(owner: Model | Update, name: str) -> np.ndarray:
    slot = owner.layout.slot(name)
    return slot.view(owner.values if slot.floating else owner.integers)
