"""Classes of a target, and dealing the examples of each class out to clients.

Most partitioners only decide *how many* examples of each class a client gets; `deal` then picks
which ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64, Shaped

from flnb.core.errors import DataError
from flnb.core.seeds import generator

MOST_LABELS = 256
"""A target with more distinct values is taken for numbers, not for classes."""


@dataclass(frozen=True, slots=True, eq=False)
class Labels:
    """The classes of a target."""

    names: tuple[str, ...]
    """In ascending order of their value."""
    codes: Int64[np.ndarray, " examples"]
    """Position in `names`, for each example."""

    @property
    def sizes(self) -> Int64[np.ndarray, " labels"]:
        """Examples of each class."""
        return np.bincount(self.codes, minlength=len(self.names))

    @classmethod
    def one(cls, n_examples: int) -> Labels:
        """Put everything into one class: for splits that do not look at the target."""
        return cls(("any",), np.zeros(n_examples, dtype=np.int64))


def find_labels(y: Shaped[np.ndarray, "..."]) -> Labels | None:
    """Read a target as classes; None when it is not one integer, bool or text per example."""
    if y.ndim != 1 or y.dtype.kind not in "iubUS":
        return None
    values, codes = np.unique(y, return_inverse=True)
    if len(values) > MOST_LABELS:
        return None
    return Labels(tuple(str(value) for value in values), codes.astype(np.int64))


def need_labels(y: Shaped[np.ndarray, "..."], owner: str) -> Labels:
    """Read a target as classes for a partitioner that cannot do without.

    Raises:
        DataError: The target is not classes.
    """
    if (labels := find_labels(y)) is None:
        raise DataError(
            f"{owner} splits by class; y has shape {y.shape} and dtype {y.dtype}, "
            f"it needs one integer an example and at most {MOST_LABELS} classes",
            hint="for targets that are numbers use IID, LogNormalSizes or NaturalId",
        )
    return labels


def apportion(
    weights: Float64[np.ndarray, "pools clients"], totals: Int64[np.ndarray, " pools"]
) -> Int64[np.ndarray, "pools clients"]:
    """Cut each total into whole parts in proportion to weights; nothing is lost or made up.

    Cumulated shares are rounded, so that a part is at most one off its exact share. A row of
    zeros gets nothing.

    Examples:
        >>> apportion(np.array([[1.0, 1.0, 2.0]]), np.array([9]))
        array([[2, 2, 5]])
    """
    cumulated = np.cumsum(weights, axis=1)
    whole = np.where(cumulated[:, -1:] > 0, cumulated[:, -1:], 1.0)
    edges = np.rint(cumulated / whole * totals[:, None]).astype(np.int64)
    return np.diff(edges, axis=1, prepend=0)


def deal(
    labels: Labels, counts: Int64[np.ndarray, "labels clients"], seed: int, kind: str
) -> Int64[np.ndarray, " examples"]:
    """Pick which examples of each class go to which client.

    Args:
        labels: Classes of the examples.
        counts: How many of each class a client gets; at most as many as there are.
        seed: Public root.
        kind: Name of the partitioner, part of the seed's name.

    Returns:
        For each example the position of its client, -1 when it is left over.
    """
    owner = np.full(len(labels.codes), -1, dtype=np.int64)
    by_label = np.argsort(labels.codes, kind="stable")
    pools = np.split(by_label, np.cumsum(labels.sizes)[:-1])
    for name, pool, row in zip(labels.names, pools, counts, strict=True):
        shuffled = generator(seed, purpose="split", kind=kind, label=name).permutation(pool)
        owner[shuffled[: row.sum()]] = np.repeat(np.arange(len(row)), row)
    return owner


def sized_pools(
    labels: Labels,
    weights: Float64[np.ndarray, "labels clients"],
    floor: Int64[np.ndarray, "labels clients"],
    *,
    owner: str,
) -> Int64[np.ndarray, "labels clients"]:
    """Share each class out by weight, on top of a number that everybody gets first.

    Raises:
        DataError: A class has fewer examples than are promised to everybody.
    """
    spare = labels.sizes - floor.sum(axis=1)
    short = int(spare.argmin())
    if spare[short] < 0:
        raise DataError(
            f"{owner} promises {floor[short].sum():,} examples of label "
            f"{labels.names[short]!r}, there are {labels.sizes[short]:,}",
            hint="lower min_examples or clients",
        )
    counts: Int64[np.ndarray, "labels clients"] = floor + apportion(weights, spare)
    return counts
