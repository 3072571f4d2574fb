"""Your own arrays as federated data, and what all readers share."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int64, Shaped
from numpy.typing import ArrayLike

from flnb.core.errors import DataError
from flnb.datasets.arrays import Arrays, FederatedData
from flnb.datasets.partition import NaturalId, Partitioner
from flnb.datasets.split import Split


def own(
    x: ArrayLike,
    y: ArrayLike,
    *,
    ids: ArrayLike | None = None,
    split: Partitioner | Split | None = None,
    test: tuple[ArrayLike, ArrayLike] | None = None,
    test_ids: ArrayLike | None = None,
    n_classes: int | None = None,
    name: str = "own",
    labels: tuple[str, ...] = (),
) -> FederatedData:
    """Make federated data from your own arrays.

    Args:
        x: Inputs, one entry an example. What its dtype means is said in `flnb.datasets.arrays`:
            uint8 is pixels, other integers are codes, floating point is used as it is.
        y: Targets; whole numbers from 0 for classes, floating point for values.
        ids: Who each example came from; makes one client for each distinct id.
        split: How the examples are spread over clients; with `ids` it may be left out.
        test: Inputs and targets held out for central evaluation.
        test_ids: Whose each held-out example is; metrics are then measured for each one's apart as well.
        n_classes: Number of classes; by default one more than the greatest class in `y` and `test`.
        name: What messages call the data.
        labels: What the classes are called, by their number.

    Raises:
        DataError: Lengths differ, neither `ids` nor `split` is given, or the split does not fit.

    Examples:
        >>> own([[0.0], [1.0], [2.0]], [0, 1, 1], ids=["mia", "leo", "mia"])
        <own: 2 clients · 3 examples · min/median/max 1/2/2, 0 held out>
    """
    train = Arrays(np.asarray(x), np.asarray(y))
    held_out = Arrays(np.asarray(test[0]), np.asarray(test[1])) if test is not None else None
    if split is None and ids is None:
        raise DataError(
            f"{name}: which client holds which example is not said",
            hint="give ids=… (who each example came from) or split=IID(clients=10)",
        )
    how = split if split is not None else NaturalId()
    found = how if isinstance(how, Split) else how.split(train.y, ids)
    if found.label_counts is None or labels:
        found = found.counted(train.y, labels)
    classes = n_classes if n_classes is not None else _count_classes(train, held_out)
    theirs = np.asarray(test_ids, dtype=str) if test_ids is not None else None
    return FederatedData(train, held_out, found, classes, name, labels, theirs)


def every_fifth(
    y: Shaped[np.ndarray, " examples"], first: int = 4
) -> Int64[np.ndarray, " held_out"]:
    """Pick a fixed test part: every fifth example of each class, in the order of the file.

    It needs no seed, so everybody's test part is the same, and has the classes in proportion.

    Args:
        y: The class of each example.
        first: Where to begin, 0 … 4: the five parts have no example in common, and together all.
    """
    picked = [np.flatnonzero(y == value)[first::5] for value in np.unique(y)]
    return np.sort(np.concatenate([np.empty(0, np.int64), *picked]))


def _count_classes(train: Arrays, test: Arrays | None) -> int | None:
    parts = [part.y for part in (train, test) if part is not None and part.y.size]
    if not parts or any(part.dtype.kind not in "iub" or part.min() < 0 for part in parts):
        return None
    return max(int(part.max()) for part in parts) + 1
