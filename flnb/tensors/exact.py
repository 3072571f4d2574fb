"""Sums whose bits do not depend on the order of their terms.

Floating addition is not associative, so a federated mean would change with the order of arrival
and with the number of workers. Here every update is rounded once to whole numbers of a quantum,
and whole numbers are added: any order, any split, the same bits. After

    Demmel, Nguyen. "Parallel Reproducible Summation", IEEE Transactions on Computers 64(7), 2015,

with int64 in place of their floating bins. The quantum depends on the update and its weight
alone: with m = w · max|Δ| in [2^(8b), 2^(8b+8)) the bucket is b and the quantum 2^(8b+8−44).
A rounded value is below 2^44, so 2^18 of them fit in an int64 limb; each bucket has its own limb.
Buckets run from 2^-48 to 2^48, at most 12 limbs, and usually one or two. Smaller updates go into
the lowest bucket, larger ones are refused.

Error of one update, in each value of the sum: at most (1/2 + 2^-9) quantum, so between 2^-45 and
2^-36 of its own weighted maximum (below 2^-48: at most 2^-84 absolutely).
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from jaxtyping import Float32, Int64

from flnb.core.errors import IntegrityError
from flnb.tensors.arrays import BLOCK_VALUES, aligned, blocks, largest_magnitude
from flnb.tensors.reuse import unfilled

BUCKET_BITS = 8
LOWEST_BUCKET, HIGHEST_BUCKET = -6, 5
MAX_UPDATES = 2**18
"""Updates that can be added without a limb wrapping."""

_VALUE_BITS = 44
# Adding 1.5 · 2^52 to a float64 below 2^51 rounds it to a whole number, which then stands in the
# low bits of the mantissa: the int64 behind the float is _MAGIC_BITS + that whole number. So
# rounding, conversion and addition are one floating and one integer addition, and what the limb
# has too much is _MAGIC_BITS for each update, taken off when the limb is read.
_MAGIC = 1.5 * 2.0**52
_MAGIC_BITS = int(np.float64(_MAGIC).view(np.int64))


class ExactSum:
    """A vector of exact, order-independent sums.

    Adding and merging are associative and commutative to the bit. Takes 8 bytes a value and
    bucket; not for use from two threads at once.

    Args:
        n: Length of the vectors.
    """

    __slots__ = ("_limbs", "_n", "_squares", "_terms", "_wide")

    def __init__(self, n: int) -> None:
        self._n = n
        self._limbs: dict[int, Int64[np.ndarray, " n"]] = {}
        self._terms: dict[int, int] = {}
        self._wide = aligned(min(n, BLOCK_VALUES), np.float64)
        self._squares = np.empty_like(self._wide)

    @property
    def limbs(self) -> Mapping[int, tuple[int, Int64[np.ndarray, " n"]]]:
        """Bucket to (how many updates, raw limb), highest bucket first; not copied."""
        ordered = sorted(self._limbs, reverse=True)
        return {bucket: (self._terms[bucket], self._limbs[bucket]) for bucket in ordered}

    @property
    def _n_terms(self) -> int:
        return sum(self._terms.values())

    def add(self, x: Float32[np.ndarray, " n"], weight: float, *, measure: bool = False) -> float:
        """Add `weight · x`.

        Args:
            x: One update.
            weight: Above zero. The product is taken in float64: exact for whole weights below
                2^29, otherwise off by at most 2^-53 of itself, the same for every order.
            measure: Also find the length of `x`, for half of what it costs on its own.

        Returns:
            The length of `x`, to the bit that of `l2_norm`; NaN if nobody asked.

        Raises:
            IntegrityError: `x` is not finite, `weight · max|x|` is 2^48 or more, or the sum is
                full. The sum is then as it was.
        """
        magnitude = weight * largest_magnitude(x)
        bucket = _bucket(magnitude, weight)
        if magnitude == 0.0:
            return 0.0
        _check_room(self._n_terms + 1)
        limb, first = self._limbs.get(bucket), bucket not in self._limbs
        if limb is None:
            limb = self._limbs[bucket] = unfilled(self._n, np.int64)
        factor, sums = weight / _quantum(bucket), [] if measure else [math.nan]
        for span in blocks(self._n):
            size = span.stop - span.start
            wide, squares = self._wide[:size], self._squares[:size]
            np.copyto(wide, x[span])
            if measure:
                np.square(wide, out=squares)
                sums.append(float(squares.sum()))
            wide *= factor
            wide += _MAGIC
            if first:
                limb[span] = wide.view(np.int64)
            else:
                limb[span] += wide.view(np.int64)
        self._terms[bucket] = self._terms.get(bucket, 0) + 1
        return math.sqrt(math.fsum(sums))

    def merge(self, other: ExactSum) -> None:
        """Add everything that `other` holds; `other` stays as it is.

        Raises:
            IntegrityError: Together they hold more updates than a limb can carry.
        """
        _check_room(self._n_terms + other._n_terms)
        for bucket, (terms, limb) in other.limbs.items():
            self.adopt(bucket, terms, limb, copy=True)

    def adopt(
        self, bucket: int, terms: int, limb: Int64[np.ndarray, " n"], *, copy: bool = False
    ) -> None:
        """Add a raw limb of another sum of the same length, as `limbs` gave it.

        Args:
            bucket: Which power of 2^8 it counts.
            terms: How many updates are in it.
            limb: Added to the limb of this bucket, or kept as it is if there is none.
            copy: Keep a copy rather than `limb` itself.
        """
        if bucket in self._limbs:
            self._limbs[bucket] += limb
        else:
            self._limbs[bucket] = unfilled(self._n, np.int64) if copy else limb
            if copy:
                self._limbs[bucket][:] = limb
        self._terms[bucket] = self._terms.get(bucket, 0) + terms

    def divided_by(self, divisor: float, *, over: bool = False) -> Float32[np.ndarray, " n"]:
        """Divide the sum by a number above zero, in float64, and round once to float32.

        Args:
            divisor: The number.
            over: Write the result where the sum lies, which is empty afterwards: a vector of
                memory less.
        """
        result = self._place(over)
        part = np.empty_like(self._wide)
        whole = np.empty(self._wide.size, np.int64)
        limbs = list(self.limbs.items())
        for span in blocks(self._n if limbs else 0):
            size = span.stop - span.start
            total = self._wide[:size]
            for place, (bucket, (terms, limb)) in enumerate(limbs):
                np.subtract(limb[span], _wrapped(terms * _MAGIC_BITS), out=whole[:size])
                np.multiply(whole[:size], _quantum(bucket), out=part[:size] if place else total)
                if place:
                    total += part[:size]
            np.divide(total, divisor, out=result[span], casting="same_kind")
        if over:
            self._limbs, self._terms = {}, {}
        return result

    def _place(self, over: bool) -> Float32[np.ndarray, " n"]:
        """Where a quotient goes."""
        if not self._limbs:
            return aligned(self._n, np.float32)
        if not over:
            return unfilled(self._n, np.float32)
        # A quotient takes half the room: it is written to what was read by then, block by block.
        return next(iter(self._limbs.values())).view(np.float32)[: self._n]


def _quantum(bucket: int) -> float:
    return math.ldexp(1.0, BUCKET_BITS * (bucket + 1) - _VALUE_BITS)


def _bucket(magnitude: float, weight: float) -> int:
    if not math.isfinite(magnitude):
        raise IntegrityError(
            f"an update is not finite: its largest value times {weight:g} is {magnitude}"
        )
    bucket = (math.frexp(magnitude)[1] - 1) // BUCKET_BITS
    if bucket > HIGHEST_BUCKET:
        raise IntegrityError(
            f"an update is out of range: its largest value times its weight is {magnitude:.4g}, "
            f"the limit {2.0 ** (BUCKET_BITS * (HIGHEST_BUCKET + 1)):.4g}",
            hint="the client's training diverged; lower local.lr or set local.clip_grad_norm",
        )
    return max(bucket, LOWEST_BUCKET)


def _check_room(n_terms: int) -> None:
    if n_terms > MAX_UPDATES:
        raise IntegrityError(
            f"one sum holds at most {MAX_UPDATES} updates, this would be {n_terms}"
        )


def _wrapped(number: int) -> np.int64:
    """The int64 that is congruent to `number` modulo 2^64."""
    return np.int64((number + 2**63) % 2**64 - 2**63)
