"""The digits of scikit-learn: small, real, and always there.

Alpaydin, Kaynak. "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository,
1998; scikit-learn bundles its test half, 1,797 digits of 8×8. https://doi.org/10.24432/C50P49
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
from jaxtyping import Float

from flnb.datasets.arrays import FederatedData
from flnb.datasets.own import every_fifth, own
from flnb.datasets.partition import Dirichlet, Partitioner
from flnb.datasets.split import Split

_FILE = "datasets/data/digits.csv.gz"


def load_digits_data(split: Partitioner | Split | None = None) -> FederatedData:
    """Read the 1,797 digits: float32 in 0 … 1, shape (examples, 8, 8), ten classes.

    The test part is every fifth example of each digit, in the order of the file: 355 held out,
    1,442 to train on.

    Args:
        split: How the training part is spread; by default `Dirichlet(alpha=0.3, clients=20)`.

    Raises:
        DataError: The split does not fit the digits.
    """
    table = _table()
    images = (table[:, :-1].reshape(-1, 8, 8) / 16.0).astype(np.float32)
    target = table[:, -1].astype(np.int64)
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


def _table() -> Float[np.ndarray, "examples 65"]:
    """Pixels from 0 to 16 and the digit, an example a row.

    The file is read where it lies: scikit-learn takes more than a second to import, of each process
    that trains, and ten times as long as the file.
    """
    found = find_spec("sklearn")
    if found is not None and found.origin is not None:
        path = Path(found.origin).parent / _FILE
        if path.is_file():
            return np.loadtxt(path, delimiter=",")
    from sklearn.datasets import load_digits  # wherever it keeps them by then

    bunch = load_digits()
    return np.column_stack([bunch.data, bunch.target])
