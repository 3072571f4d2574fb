"""The digits of scikit-learn: small, real, and always there.

Alpaydin, Kaynak. "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository,
1998; scikit-learn bundles its test half, 1,797 digits of 8×8. https://doi.org/10.24432/C50P49
"""

from __future__ import annotations

import numpy as np

from flnb.datasets.arrays import FederatedData
from flnb.datasets.own import every_fifth, own
from flnb.datasets.partition import Dirichlet, Partitioner
from flnb.datasets.split import Split


def load_digits_data(split: Partitioner | Split | None = None) -> FederatedData:
    """Read the 1,797 digits: float32 in 0 … 1, shape (examples, 8, 8), ten classes.

    The test part is every fifth example of each digit, in the order of the file: 355 held out,
    1,442 to train on.

    Args:
        split: How the training part is spread; by default `Dirichlet(alpha=0.3, clients=20)`.

    Raises:
        DataError: The split does not fit the digits.
    """
    # Imported here: scikit-learn takes a second, and `import flnb` must not.
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = (bunch.images / 16.0).astype(np.float32)
    target = bunch.target.astype(np.int64)
    held_out = every_fifth(target)
    kept = np.setdiff1d(np.arange(len(target)), held_out)
    return own(
        images[kept],
        target[kept],
        split=split or Dirichlet(alpha=0.3, clients=20),
        test=(images[held_out], target[held_out]),
        name="digits",
        labels=tuple("0123456789"),
    )
