"""What is left of a cohort's updates: exact sums, the total weight, and a count.

Each worker folds the updates of its clients into one `CohortSum`; merging them gives the same
bits whatever the order of arrival, the size of the batches and the number of workers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from flnb.core.errors import IntegrityError
from flnb.tensors.arrays import aligned
from flnb.tensors.exact import MAX_UPDATES, ExactSum
from flnb.tensors.layout import Layout
from flnb.tensors.model import Update

_LOWEST = np.iinfo(np.int64).min
_LOWEST_WEIGHT, _HIGHEST_WEIGHT = Fraction(1, 2**48), Fraction(2**48)


class CohortSum:
    """The exact weighted sum of updates; associative and commutative to the bit.

    Floating tensors add up (`ExactSum` states the error). Of integer tensors the largest value
    over the clients is kept, place by place: they are counters such as `num_batches_tracked`, and
    a maximum is exact and asks for no division.

    Args:
        layout: Of the base version; updates of another layout are refused.
    """

    __slots__ = ("_integers", "_mean", "_spent", "_values", "count", "layout", "total_weight")

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.count = 0
        self.total_weight = Fraction(0)
        """Exact, so that the order of the additions cannot matter here either."""
        self._values = ExactSum(layout.n_values)
        self._integers = aligned(layout.n_integers, np.int64)
        self._integers[:] = _LOWEST
        self._spent = False
        self._mean: Update | None = None
        """All that is left of a sum that was spent."""

    def fold(
        self, update: Update, weight: int | np.int64 | Fraction, *, measure: bool = False
    ) -> float:
        """Add one update.

        Args:
            update: Of one client, against the base version.
            weight: Within [2^-48, 2^48]; usually the client's number of examples.
            measure: Also find the length of the update's values; see `ExactSum.add`.

        Returns:
            That length; NaN if nobody asked.

        Raises:
            IntegrityError: Another layout, not finite, out of range, a weight outside [2^-48, 2^48],
                or more than 2^18 updates. The sum is then as it was.
        """
        self._check(update.layout, 1)
        # Through Python's integers: NumPy's would wrap when weights are added.
        weight = Fraction(int(weight.numerator), int(weight.denominator))
        if not _LOWEST_WEIGHT <= weight <= _HIGHEST_WEIGHT:
            raise IntegrityError(
                f"the weight of an update is within [2^-48, 2^48], got {str(weight)[:40]}"
            )
        norm = self._values.add(update.values, float(weight), measure=measure)
        np.maximum(self._integers, update.integers, out=self._integers)
        self.count += 1
        self.total_weight += weight
        return norm

    def merge(self, other: CohortSum) -> None:
        """Add everything that `other` holds; `other` stays as it is.

        Raises:
            IntegrityError: Another layout, together more than 2^18 updates, or one was spent.
        """
        other._check(self.layout, 0)
        self._check(other.layout, other.count)
        self._values.merge(other._values)
        np.maximum(self._integers, other._integers, out=self._integers)
        self.count += other.count
        self.total_weight += other.total_weight

    def mean(self) -> Update:
        """Divide by the total weight: Σ w·Δ / Σ w in float64, rounded once to float32.

        Raises:
            IntegrityError: Nothing was folded in.
        """
        if not self.count:
            raise IntegrityError("there is no mean of no updates")
        if self._mean is not None:
            return self._mean
        values = self._values.divided_by(float(self.total_weight), over=self._spent)
        mean = Update(self.layout, values, self._integers.copy())
        self._mean = mean if self._spent else None
        return mean

    def spend(self) -> CohortSum:
        """Want nothing of this sum any more but its mean, which takes the sum's memory.

        Returns:
            The same sum.
        """
        self._spent = True
        return self

    def to_parts(self) -> tuple[dict[str, Any], list[np.ndarray]]:
        """Take the sum apart for a trip through shared memory.

        Returns:
            A description that can go into JSON, and the arrays themselves, not copied: int64, one
            of `n_values` for each bucket in use, and last the integers.

        Raises:
            IntegrityError: It was spent.
        """
        self._check(self.layout, 0)
        limbs = self._values.limbs
        meta = {
            "count": self.count,
            "weight": [self.total_weight.numerator, self.total_weight.denominator],
            "limbs": [[bucket, terms] for bucket, (terms, _) in limbs.items()],
        }
        return meta, [*(limb for _, limb in limbs.values()), self._integers]

    @classmethod
    def from_parts(
        cls, layout: Layout, meta: Mapping[str, Any], arrays: Sequence[np.ndarray]
    ) -> CohortSum:
        """Put a sum together from what `to_parts` gave.

        The arrays are kept, not copied: merge the result into a sum of your own before their
        memory goes away or is used again.

        Raises:
            IntegrityError: The arrays do not fit the description or the layout.
        """
        lengths = [layout.n_values] * len(meta["limbs"]) + [layout.n_integers]
        got = [(array.dtype.name, *array.shape) for array in arrays]
        if got != [("int64", length) for length in lengths]:
            raise IntegrityError(f"the parts of a sum are {got}, expected int64 of {lengths}")
        sums = cls(layout)
        sums.count, sums.total_weight = int(meta["count"]), Fraction(*meta["weight"])
        for (bucket, terms), limb in zip(meta["limbs"], arrays[:-1], strict=True):
            sums._values.adopt(int(bucket), int(terms), limb)
        sums._integers = arrays[-1]
        return sums

    def _check(self, layout: Layout, more: int) -> None:
        if self._mean is not None:
            raise IntegrityError("this sum was spent: nothing but its mean is left")
        if layout is not self.layout and (reason := self.layout.differs_from(layout)):
            raise IntegrityError(reason)
        if self.count + more > MAX_UPDATES:
            raise IntegrityError(
                f"one sum holds at most {MAX_UPDATES} updates, this would be {self.count + more}"
            )
