"""MNIST from its canonical IDX files, in their original order.

LeCun, Bottou, Bengio, Haffner. "Gradient-Based Learning Applied to Document Recognition",
Proceedings of the IEEE 86 (1998). The IDX format: two zero bytes, a type byte (8 is uint8), the
number of dimensions, each dimension as a big-endian 32-bit integer, then the values.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from flnb.core.errors import DataError
from flnb.datasets.arrays import FederatedData
from flnb.datasets.files import data_folder, read_data_file
from flnb.datasets.own import own
from flnb.datasets.partition import IID, Partitioner
from flnb.datasets.split import Split

_SOURCE = "https://storage.googleapis.com/cvdf-datasets/mnist/ (see data/README.md)"
_UINT8 = 8


def mnist(
    directory: str | Path | None = None, *, split: Partitioner | Split | None = None
) -> FederatedData:
    """Read MNIST: uint8 pixels 0 … 255, shape (examples, 28, 28), ten classes.

    Args:
        directory: Folder of the four IDX files, gzip or plain; by default `mnist` in
            `FLNB_DATA_DIR`.
        split: How the 60,000 training digits are spread; by default `IID(clients=100)`.

    Raises:
        DataError: A file is missing, torn, of another format, or labels and images differ in
            number.
    """
    folder = data_folder(directory, "mnist")
    x, y = _part(folder, "train")
    return own(
        x,
        y,
        split=split or IID(clients=100),
        test=_part(folder, "t10k"),
        n_classes=10,
        name="mnist",
        labels=tuple("0123456789"),
    )


def read_idx(content: bytes, *, dimensions: int, name: str) -> UInt8[np.ndarray, "..."]:
    """Read the bytes of an IDX file of uint8, without copying the values.

    Args:
        content: The whole file, unpacked.
        dimensions: How many there must be: 1 for labels, 3 for images.
        name: What messages call the file.

    Raises:
        DataError: Another format, or more or fewer bytes than the header says.
    """
    magic = bytes([0, 0, _UINT8, dimensions])
    header = 4 + 4 * dimensions
    if content[:4] != magic or len(content) < header:
        raise DataError(
            f"{name} is not an IDX file of {dimensions}-dimensional uint8: it begins with "
            f"{content[:4].hex(' ') or 'nothing'}, not {magic.hex(' ')}",
            hint=f"get it again from {_SOURCE}",
        )
    shape = tuple(int(size) for size in np.frombuffer(content, ">u4", dimensions, offset=4))
    expected = int(np.prod(shape, dtype=np.int64))
    if len(content) - header != expected:
        raise DataError(
            f"{name} is torn: shape {shape} needs {expected:,} values, "
            f"it has {len(content) - header:,}",
            hint=f"get it again from {_SOURCE}",
        )
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)


def _part(folder: Path, part: str) -> tuple[np.ndarray, np.ndarray]:
    arrays = []
    for what, dimensions in (("images", 3), ("labels", 1)):
        name = f"{part}-{what}-idx{dimensions}-ubyte"
        content = read_data_file(folder, name, source=_SOURCE)
        arrays.append(read_idx(content, dimensions=dimensions, name=str(folder / name)))
    images, labels = arrays
    if len(images) != len(labels):
        raise DataError(f"{folder}: {part} has {len(images):,} images and {len(labels):,} labels")
    if labels.size and labels.max() > 9:
        raise DataError(f"{folder}: {part} has label {labels.max()}, digits end at 9")
    return images, labels.astype(np.int64)
