"""One update in a spool: its file, and the header of it.

8 bytes    magic
8 bytes    length of the header, little-endian
…          header: JSON with id, layout hash, lengths and note, padded with spaces to 64 bytes
…          payload: float32 values, then int64 integers, little-endian
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from flnb.core.errors import IntegrityError
from flnb.tensors.arrays import ALIGNMENT_BYTES, blocks
from flnb.tensors.layout import Layout
from flnb.tensors.model import Update
from flnb.tensors.spare import mapped

_MAGIC = b"flnbspl1"
_FRONT_BYTES = 16


@dataclass(frozen=True, slots=True)
class SpoolFile:
    """One staged update, complete on the disk."""

    update_id: str
    path: Path
    n_bytes: int
    """Size of the file."""
    layout_hash: str
    data_start: int
    """Where the values begin, in bytes; a multiple of 64."""
    note: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """JSON that was written with the update."""

    def open(self, layout: Layout) -> Update:
        """Map the update into memory, read-only; it is read as it is used.

        The result stays readable after the file was deleted from the spool.

        Raises:
            IntegrityError: The update is of another layout.
        """
        if self.layout_hash != layout.hash:
            raise IntegrityError(
                f"update {self.update_id!r} is of layout {self.layout_hash[:12]}, "
                f"expected {layout.hash[:12]}"
            )
        data = mapped(self.path)[self.data_start :]
        split = 4 * layout.n_values
        return Update(layout, data[:split].view(np.float32), data[split:].view(np.int64))

    def blocks(
        self, layout: Layout, size: int = 32_768
    ) -> Iterator[tuple[slice, Float32[np.ndarray, " block"]]]:
        """Read the values block by block: where the block lies, and its values.

        Raises:
            IntegrityError: The update is of another layout.
        """
        values = self.open(layout).values
        return ((span, values[span]) for span in blocks(values.size, size))


def header(update_id: str, layout: Layout, note: Mapping[str, Any]) -> bytes:
    """Make the part of a file that lies before the values.

    Raises:
        TypeError: JSON cannot hold the note.
    """
    sizes = [layout.n_values, layout.n_integers]
    fields = {"id": update_id, "layout": layout.hash, "sizes": sizes, "note": dict(note)}
    text = json.dumps(fields).encode()
    size = -(-(_FRONT_BYTES + len(text)) // ALIGNMENT_BYTES) * ALIGNMENT_BYTES
    front = _MAGIC + (size - _FRONT_BYTES).to_bytes(8, "little")
    return front + text.ljust(size - _FRONT_BYTES)


def described(head: bytes, path: Path) -> SpoolFile:
    """What a header says of the file at `path`.

    Raises:
        ValueError: It is not a whole header.
        LookupError: A field is missing.
        TypeError: A field is of another kind.
    """
    if head[:8] != _MAGIC or int.from_bytes(head[8:_FRONT_BYTES], "little") != len(head) - 16:
        raise ValueError("not a whole header of a spool's file")
    fields = json.loads(head[_FRONT_BYTES:])
    n_values, n_integers = fields["sizes"]
    n_bytes = len(head) + 4 * n_values + 8 * n_integers
    note = fields.get("note", {})  # files from before there were notes
    return SpoolFile(fields["id"], path, n_bytes, fields["layout"], len(head), note)


def read(path: Path) -> SpoolFile | None:
    """Read a file's header; None if it is not a complete update."""
    n_bytes = path.stat().st_size
    with path.open("rb") as file:
        front = file.read(_FRONT_BYTES)
        length = int.from_bytes(front[8:], "little")
        head = front + file.read(min(length, n_bytes))
    try:
        found = described(head, path)
    except (ValueError, LookupError, TypeError):
        return None
    return found if found.n_bytes == n_bytes else None
