"""What a learning problem is made of: examples, and which client holds which.

Arrays are kept as compactly as they came. What a dtype of `x` means is fixed here, so that no
reader and no task has to guess:

* `uint8` is pixels, 0 … 255: a model gets float32, times `Arrays.scale` = 1/255;
* any other integer is codes (characters, categories): a model gets int64;
* floating point is ready to use: a model gets float32.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Shaped

from flnb.core.errors import DataError
from flnb.datasets.split import Split


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Arrays:
    """Examples and their targets, in matching order.

    Raises:
        DataError: `x` and `y` differ in length.
    """

    x: Shaped[np.ndarray, "..."]
    """Inputs, one entry an example, in their compact dtype; the module says what a dtype means."""
    y: Shaped[np.ndarray, "..."]
    """Targets: class numbers from 0 as integers, or values as floating point."""

    def __post_init__(self) -> None:
        if not self.x.ndim or not self.y.ndim or len(self.x) != len(self.y):
            raise DataError(
                f"x has shape {self.x.shape}, y has shape {self.y.shape}: "
                "both need one entry an example"
            )

    def __len__(self) -> int:
        """Number of examples."""
        return len(self.x)

    def __repr__(self) -> str:
        """Shapes and dtypes, never values."""
        return f"Arrays(x={self.x.dtype}{list(self.x.shape)}, y={self.y.dtype}{list(self.y.shape)})"

    @property
    def scale(self) -> float:
        """What `x` is multiplied by before a model sees it: 1/255 for pixels, else 1."""
        return 1 / 255 if self.x.dtype == np.uint8 else 1.0


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class FederatedData:
    """A data set, held-out part included, and how its training part is spread over clients.

    Raises:
        DataError: The split names examples that `train` does not have, or `test_ids` are not one a
            held-out example.
    """

    train: Arrays
    test: Arrays | None
    """Held out for central evaluation; no client sees it."""
    split: Split
    """Which client holds which rows of `train`."""
    n_classes: int | None
    """None when the target is not a class."""
    name: str
    labels: tuple[str, ...] = ()
    """What the classes are called, in the order of their numbers; empty when nothing is known."""
    test_ids: Shaped[np.ndarray, " held_out"] | None = None
    """Whose each held-out example is, as text: each one's are then measured apart as well, as
    `accuracy_cleveland`. None measures all of them together only."""

    def __post_init__(self) -> None:
        last = int(self.split.order.max(initial=-1))
        if last >= len(self.train):
            raise DataError(
                f"{self.name}: the split names example {last}, "
                f"the training part ends at {len(self.train) - 1}",
                hint="make the split from the y of this training part",
            )
        n_held_out = len(self.test) if self.test is not None else 0
        if self.test_ids is not None and len(self.test_ids) != n_held_out:
            raise DataError(
                f"{self.name}: {len(self.test_ids)} test_ids for {n_held_out} held-out examples"
            )

    @property
    def test_parts(self) -> tuple[str, ...]:
        """Whose held-out examples are measured apart, in the order of their names."""
        return () if self.test_ids is None else tuple(map(str, np.unique(self.test_ids)))

    def __repr__(self) -> str:
        """One line: name, sizes, clients."""
        test = len(self.test) if self.test is not None else 0
        return f"<{self.name}: {self.split.describe()}, {test:,} held out>"
