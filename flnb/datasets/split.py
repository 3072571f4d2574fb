"""Which client holds which examples.

A split is two arrays, however many clients there are: the examples in order of their client, and
where each client's part begins. A client may hold nothing; its size is then 0 and every picture
and description says so.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Int64, Integer, Shaped
from numpy.typing import ArrayLike

from flnb.core.errors import DataError, NotFoundError
from flnb.core.ids import ClientId
from flnb.datasets.labels import find_labels
from flnb.datasets.picture import SplitPicture


@dataclass(frozen=True, eq=False, repr=False)
class Split:
    """Which client holds which examples; no example has two clients.

    Make one with a partitioner (`Dirichlet(...).split(y)`), or with `Split.of` from your own
    lists. Two splits are equal when the same clients hold the same examples.

    Raises:
        DataError: Names repeat, an index is negative, or an example has two clients.
    """

    clients: tuple[ClientId, ...]
    order: Int64[np.ndarray, " used"]
    """Examples, client after client; ascending within a client when a partitioner made them."""
    offsets: Int64[np.ndarray, " bounds"]
    """Client `i` holds `order[offsets[i]:offsets[i + 1]]`; one entry more than clients."""
    labels: tuple[str, ...] = ()
    """Names of the columns of `label_counts`."""
    label_counts: Int64[np.ndarray, "clients labels"] | None = None
    """Examples of each class at each client; None when the target is not classes."""

    def __post_init__(self) -> None:
        if len(set(self.clients)) != len(self.clients):
            name = next(name for name in self.clients if self.clients.count(name) > 1)
            raise DataError(f"client {name!r} is in the split twice")
        bounds = self.offsets
        if len(bounds) != len(self) + 1 or (bounds[0], bounds[-1]) != (0, len(self.order)):
            raise DataError(
                f"the split has {len(bounds)} bounds for {len(self)} clients and "
                f"{len(self.order)} examples"
            )
        _check_order(self.order)
        for field in ("order", "offsets", "label_counts"):
            array = getattr(self, field)
            if array is not None and array.flags.writeable:
                # A copy, so that the caller's own array stays writeable and cannot change this.
                array = array.copy()
                array.flags.writeable = False
                object.__setattr__(self, field, array)

    def __getstate__(self) -> dict[str, Any]:
        # Not what was worked out since: another thread may be adding to that while this is sent.
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def of(cls, parts: Mapping[str, ArrayLike], y: ArrayLike | None = None) -> Split:
        """Make a split from your own lists of examples.

        Args:
            parts: The examples of each client, by its name.
            y: Target of all examples; with it the split knows its label counts.

        Raises:
            DataError: An index is no whole number or out of range, or an example has two clients.

        Examples:
            >>> Split.of({"anna": [0, 2], "bert": [1]}).indices("anna")
            array([0, 2])
        """
        arrays = [_whole(name, np.asarray(part)) for name, part in parts.items()]
        order = np.concatenate([np.empty(0, np.int64), *arrays])
        split = cls(tuple(map(ClientId, parts)), order, _offsets([len(part) for part in arrays]))
        return split if y is None else split.counted(np.asarray(y))

    @classmethod
    def from_owners(
        cls,
        owner: Integer[np.ndarray, " examples"],
        clients: Sequence[str],
        y: Shaped[np.ndarray, "..."],
    ) -> Split:
        """Make a split from the position of each example's client, -1 for nobody."""
        order = np.argsort(owner, kind="stable")[np.count_nonzero(owner < 0) :]
        offsets = _offsets(np.bincount(owner[order], minlength=len(clients)))
        return cls(tuple(map(ClientId, clients)), order, offsets).counted(y)

    def counted(self, y: Shaped[np.ndarray, "..."], names: Sequence[str] = ()) -> Split:
        """Copy that knows its label counts.

        Args:
            y: Target of all examples.
            names: What the classes are called, by their number; by default the numbers.

        Raises:
            DataError: The split names an example that `y` does not have, or a class has no name.
        """
        if (last := int(self.order.max(initial=-1))) >= len(y):
            raise DataError(f"the split names example {last}, y ends at {len(y) - 1}")
        if (labels := find_labels(y)) is None:
            return self
        width = len(labels.names)
        owner = np.repeat(np.arange(len(self)), self.sizes)
        cells = np.bincount(owner * width + labels.codes[self.order], minlength=len(self) * width)
        counts = cells.reshape(len(self), width)
        called = _called(labels.names, y, names) if names else labels.names
        return Split(self.clients, self.order, self.offsets, called, counts)

    def indices(self, client: str) -> Int64[np.ndarray, " held"]:
        """Examples that a client holds, read-only.

        Raises:
            NotFoundError: The split has no such client.
        """
        position = self._positions.get(client)
        if position is None:
            raise NotFoundError("client", client, self.clients)
        return self.order[self.offsets[position] : self.offsets[position + 1]]

    def __len__(self) -> int:
        """Number of clients, those without data included."""
        return len(self.clients)

    def __iter__(self) -> Iterator[ClientId]:
        """The clients, in order."""
        return iter(self.clients)

    @property
    def sizes(self) -> Int64[np.ndarray, " clients"]:
        """Number of examples of each client, in the order of `clients`."""
        return np.diff(self.offsets)

    @cached_property
    def hash(self) -> str:
        """SHA-256, in hex, of who holds what in which order."""
        hasher = hashlib.sha256()
        for name in self.clients:
            hasher.update(f"{len(name.encode())}:{name}".encode())
        for array in (self.offsets, self.order):
            hasher.update(np.ascontiguousarray(array, dtype="<i8").data)
        return hasher.hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Split) and self.hash == other.hash

    def __hash__(self) -> int:
        return hash(self.hash)

    def describe(self) -> str:
        """One line: clients, examples, and how unequal they are."""
        sizes = self.sizes if len(self) else np.zeros(1, np.int64)
        spread = f"{sizes.min():,}/{np.median(sizes):,.0f}/{sizes.max():,}"
        clients = "client" if len(self) == 1 else "clients"
        empty = int(np.count_nonzero(self.sizes == 0))
        line = f"{len(self):,} {clients} · {len(self.order):,} examples · min/median/max {spread}"
        return line + (f" · {empty:,} without data" if empty else "")

    def __repr__(self) -> str:
        return f"<split: {self.describe()}>"

    def plot(self) -> SplitPicture:
        """Draw client × label as a heat map; the last expression of a cell shows it."""
        return SplitPicture(self.clients, self.sizes, self.labels, self.label_counts)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return self.plot()._repr_mimebundle_(include, exclude)

    @cached_property
    def _positions(self) -> dict[str, int]:
        return {name: position for position, name in enumerate(self.clients)}


def client_names(count: int) -> tuple[ClientId, ...]:
    """Name simulated clients `c000`, `c001` …, wide enough that they sort by number.

    Examples:
        >>> client_names(2)
        ('c000', 'c001')
    """
    width = max(3, len(str(count - 1)))
    return tuple(ClientId(f"c{number:0{width}}") for number in range(count))


def _whole(client: str, part: Shaped[np.ndarray, "..."]) -> Int64[np.ndarray, " held"]:
    """The examples of a client as they are used; a mask or a fraction would be cut to numbers."""
    kind = part.dtype.kind
    if part.size and kind not in "iu" and not (kind == "f" and np.array_equal(part, np.rint(part))):
        raise DataError(
            f"the examples of client {client!r} are {part.dtype}, expected their positions",
            hint="of a mask np.flatnonzero(mask) gives them",
        )
    return part.astype(np.int64).reshape(-1)


def _called(
    values: Sequence[str], y: Shaped[np.ndarray, "..."], names: Sequence[str]
) -> tuple[str, ...]:
    """What classes are called, by their number; False and True are 0 and 1."""
    if y.dtype.kind not in "iub":
        raise DataError(f"classes have names by their number, y is {y.dtype}")
    codes = [int(value == "True") if y.dtype.kind == "b" else int(value) for value in values]
    if codes and not 0 <= min(codes) <= max(codes) < len(names):
        raise DataError(
            f"{len(names)} classes have names, y goes from {min(codes)} to {max(codes)}"
        )
    return tuple(names[code] for code in codes)


def _check_order(order: Int64[np.ndarray, " used"]) -> None:
    if not order.size:
        return
    if order.min() < 0:
        raise DataError(f"the split holds a negative index, {order.min()}")
    uses = np.bincount(order)
    if uses.max() > 1:
        raise DataError(
            f"example {uses.argmax()} is in the split {uses.max()} times",
            hint="an example belongs to one client at most",
        )


def _offsets(sizes: ArrayLike) -> Int64[np.ndarray, " bounds"]:
    return np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)]).astype(np.int64)
