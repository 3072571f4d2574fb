"""A vector of bytes as chunks that are named by their hashes.

A chunk that the other side already has is not sent again, and a transfer that broke goes on with
what is missing. Each byte is hashed once on each side; `hashlib` lets other threads run meanwhile.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flnb.core.errors import IntegrityError
from flnb.transport.v1 import federation_pb2 as pb

if TYPE_CHECKING:
    from typing_extensions import Buffer
else:
    Buffer = Any  # whatever `memoryview` takes; `collections.abc.Buffer` needs Python 3.12

CHUNK_BYTES = 256 * 1024
"""Part of the protocol: both sides cut alike, or the hashes would not be comparable."""

HASH_BYTES = 32
_LARGE_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Manifest:
    """The chunks of a vector of bytes, by their SHA-256.

    Raises:
        IntegrityError: There are more or fewer hashes than `n_bytes` has chunks.

    Examples:
        >>> manifest = Manifest.of(b"abc")
        >>> manifest.chunk_count, manifest.check(0, b"abc"), manifest.check(0, b"abd")
        (1, True, False)
    """

    n_bytes: int
    hashes: bytes
    """32 bytes for each chunk, one after the other."""

    def __post_init__(self) -> None:
        if self.n_bytes < 0 or len(self.hashes) != HASH_BYTES * self.chunk_count:
            raise IntegrityError(
                f"{len(self.hashes)} bytes of hashes do not fit a vector of {self.n_bytes} bytes: "
                f"each of its {self.chunk_count} chunks needs {HASH_BYTES}"
            )

    @classmethod
    def of(cls, buffer: Buffer) -> Manifest:
        """Hash a vector, chunk by chunk; a large one in two threads, because others wait for it."""
        view = memoryview(buffer)
        flat = view.cast("B") if view.nbytes else memoryview(b"")
        half = len(flat) // CHUNK_BYTES // 2 * CHUNK_BYTES
        if len(flat) < _LARGE_BYTES:
            return cls(len(flat), _hashes(flat))
        with ThreadPoolExecutor(1, thread_name_prefix="flnb-hash") as beside:
            second = beside.submit(_hashes, flat[half:])
            return cls(len(flat), _hashes(flat[:half]) + second.result())

    @classmethod
    def from_message(cls, message: pb.Manifest, most_bytes: int | None = None) -> Manifest:
        """Read a manifest that came over the wire.

        Args:
            message: What came.
            most_bytes: How long the vector may be at most; None leaves that to the hashes, which
                fit into a message.

        Raises:
            IntegrityError: It contradicts itself, or the vector is too long.
        """
        if most_bytes is not None and message.n_bytes > most_bytes:
            raise IntegrityError(
                f"a vector of {message.n_bytes / 1e6:.1f} MB, at most {most_bytes / 1e6:.1f} MB "
                "are taken here"
            )
        return cls(message.n_bytes, message.hashes)

    def to_message(self) -> pb.Manifest:
        """For the wire."""
        return pb.Manifest(n_bytes=self.n_bytes, hashes=self.hashes)

    @property
    def digest(self) -> bytes:
        """SHA-256 over the list of hashes: one name for the whole vector."""
        return hashlib.sha256(self.hashes).digest()

    @property
    def chunk_count(self) -> int:
        """How many chunks there are."""
        return -(-self.n_bytes // CHUNK_BYTES)

    def span(self, place: int) -> slice:
        """Where a chunk lies in the vector.

        Raises:
            IndexError: There is no such chunk.
        """
        if not 0 <= place < self.chunk_count:
            raise IndexError(f"no chunk {place} of {self.chunk_count}")
        return slice(place * CHUNK_BYTES, min((place + 1) * CHUNK_BYTES, self.n_bytes))

    def check(self, place: int, data: Buffer) -> bool:
        """Whether some bytes are the chunk at a place; a place that is not there has none."""
        return 0 <= place < self.chunk_count and _hash(data) == self._hash_at(place)

    def differing(self, other: Manifest) -> list[int]:
        """Places of the chunks of this vector that the other does not have at the same place."""
        both = min(self.chunk_count, other.chunk_count)
        changed = [place for place in range(both) if self._hash_at(place) != other._hash_at(place)]
        return changed + list(range(both, self.chunk_count))

    def _hash_at(self, place: int) -> bytes:
        return self.hashes[place * HASH_BYTES : (place + 1) * HASH_BYTES]


@dataclass(frozen=True, slots=True)
class Package:
    """A vector of bytes that can be fetched, with its manifest.

    Raises:
        IntegrityError: The manifest is that of a vector of another length.
    """

    data: Buffer
    """Must not change while it can be fetched."""
    manifest: Manifest

    def __post_init__(self) -> None:
        if memoryview(self.data).nbytes != self.manifest.n_bytes:
            raise IntegrityError(
                f"a manifest of {self.manifest.n_bytes} bytes for a vector of "
                f"{memoryview(self.data).nbytes}"
            )

    def chunk(self, place: int) -> bytes:
        """Copy one chunk out.

        Raises:
            IndexError: There is no such chunk.
        """
        span = self.manifest.span(place)
        return bytes(memoryview(self.data).cast("B")[span])


def check_places(places: Iterable[int], chunk_count: int) -> list[int]:
    """Read places of chunks that somebody asks for or announces.

    Args:
        places: What came.
        chunk_count: How many chunks there can be.

    Returns:
        The places, in the order given.

    Raises:
        IntegrityError: A place is not there, or is named twice.

    Examples:
        >>> check_places([2, 0], 3)
        [2, 0]
    """
    found = list(places)
    if found and max(found) >= chunk_count:
        raise IntegrityError(f"chunk {max(found)} of a vector of {chunk_count} chunks")
    if len(set(found)) != len(found):
        raise IntegrityError("a chunk is named twice")
    return found


def _hashes(flat: memoryview) -> bytes:
    starts = range(0, len(flat), CHUNK_BYTES)
    return b"".join(_hash(flat[at : at + CHUNK_BYTES]) for at in starts)


def _hash(data: Buffer) -> bytes:
    return hashlib.sha256(data).digest()
