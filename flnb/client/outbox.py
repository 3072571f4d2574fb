"""Signed updates on a client's disk, from before they are offered until their fate is known.

A file is complete or not there: it is written under another name, synced, renamed, and the folder
is synced.

    …          float32 values, then int64 integers, little-endian: what travels, and what is hashed
    …          the envelope, as it was signed
    64 bytes   the signature
    8 bytes    length of the envelope, little-endian
    8 bytes    magic
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
from google.protobuf.message import DecodeError

from flnb.client.state import sync_folder
from flnb.core.errors import IntegrityError, StorageFullError
from flnb.tensors import SOONER_BYTES, SpareFiles, Update, begin_writing, mapped
from flnb.transport.identity import Identity, verify
from flnb.transport.manifest import CHUNK_BYTES, Manifest, in_a_row
from flnb.transport.v1 import federation_pb2 as pb

KEEP = 2
"""Updates that are kept at most; the oldest goes first, and would be trained again if asked for."""

PURPOSE = "flnb-update"
"""What updates are signed for."""

_MAGIC = b"flnbout2"
_SIGNATURE_BYTES = 64
_FOOT_BYTES = _SIGNATURE_BYTES + 8 + len(_MAGIC)
_COMPLETE, _PARTIAL = ".signed", ".partial"

Seal = Callable[[Manifest], tuple[bytes, bytes]]
"""Makes the envelope of an update with these chunks, and its signature."""


def key_of(assignment: pb.AssignmentId) -> bytes:
    """An assignment as something that can be looked up."""
    return assignment.SerializeToString(deterministic=True)


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """One signed update, complete on the disk; it can be read even after its file is deleted."""

    path: Path
    envelope: pb.Envelope
    signed: bytes
    """The envelope's bytes."""
    signature: bytes
    manifest: Manifest
    data: np.ndarray
    """Its payload, mapped."""

    @property
    def assignment(self) -> pb.AssignmentId:
        """What it answers."""
        return self.envelope.assignment

    def chunks(self, places: Sequence[int]) -> bytes:
        """Read chunks, one after the other."""
        flat = self.data.data
        return b"".join(flat[self.manifest.stretch(some)] for some in in_a_row(places))

    def offer(self) -> pb.ClientNote:
        """The note that offers it; it carries an update of at most one chunk."""
        inline = self.chunks([0]) if self.manifest.n_bytes <= CHUNK_BYTES else b""
        offer = pb.Offer(envelope=self.signed, signature=self.signature, inline=inline)
        return pb.ClientNote(offer=offer)


class Outbox:
    """The signed updates of one client.

    `write` may be called in another thread; everything else belongs to one.

    Args:
        folder: Made if it is missing; what a crash left half-written in it is removed.
        keep: How many updates are kept at most.
    """

    def __init__(self, folder: Path, keep: int = KEEP) -> None:
        self._folder, self._keep = folder, keep
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._held: dict[bytes, Held] = {}
        self._spares = SpareFiles(folder, most=keep)
        for path in sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime_ns):
            held = _read(path) if path.suffix == _COMPLETE else None
            if held is not None:
                self.keep(held)
            elif path.suffix in {_COMPLETE, _PARTIAL}:
                path.unlink()

    @property
    def held(self) -> tuple[Held, ...]:
        """Everything that is kept, oldest first."""
        return tuple(self._held.values())

    def sign_anew(self, identity: Identity) -> None:
        """Sign with another key what was signed with the one before; on the disk it stays as it is."""
        for key, held in self._held.items():
            if not verify(identity.public, held.signature, PURPOSE, held.signed):
                signature = identity.sign(PURPOSE, held.signed)
                self._held[key] = replace(held, signature=signature)

    def find(self, assignment: pb.AssignmentId) -> Held | None:
        """The update that answers an assignment, if it is kept."""
        return self._held.get(key_of(assignment))

    def write(self, assignment: pb.AssignmentId, update: Update, seal: Seal) -> Held:
        """Write an update, sign it, and wait until it is safe on the disk.

        Args:
            assignment: What it answers.
            update: The update.
            seal: Signs it, once its chunks are hashed.

        Returns:
            The update, to be handed to `keep`.

        Raises:
            StorageFullError: The disk is full; nothing was left behind.
        """
        name = hashlib.sha256(key_of(assignment)).hexdigest()[:32]
        path, partial = self._folder / (name + _COMPLETE), self._folder / (name + _PARTIAL)
        n_bytes = update.values.nbytes + update.integers.nbytes
        spare = self._spares.take(n_bytes, partial, cut=False)
        with _removed_when_full(partial, self._spares):
            with partial.open("r+b" if spare else "wb") as file:
                manifest = _written(file, update)
                envelope, signature = seal(manifest)
                file.write(envelope + signature + len(envelope).to_bytes(8, "little") + _MAGIC)
                file.truncate()
                os.fsync(file.fileno())
            partial.replace(path)
            sync_folder(self._folder)
        held = _read(path)
        assert held is not None, "it has just been written"
        return held

    def keep(self, held: Held) -> None:
        """Count an update that was written; the oldest of too many is deleted."""
        key = key_of(held.assignment)
        self._held.pop(key, None)
        self._held[key] = held
        while len(self._held) > self._keep:
            self.forget(next(iter(self._held.values())).assignment)

    def forget(self, assignment: pb.AssignmentId) -> None:
        """Delete an update, if it is kept."""
        if (held := self._held.pop(key_of(assignment), None)) is not None:
            path = held.path
            del held  # it may have been the last to see the file
            self._spares.put(path)


def _read(path: Path) -> Held | None:
    """Read what `write` wrote; None if the file is something else."""
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - _FOOT_BYTES))
        foot = file.read()
        length = int.from_bytes(foot[_SIGNATURE_BYTES:][:8], "little")
        n_bytes = size - _FOOT_BYTES - length
        if not foot.endswith(_MAGIC) or n_bytes <= 0:
            return None
        file.seek(n_bytes)
        signed = file.read(length)
    try:
        envelope = pb.Envelope.FromString(signed)
        manifest = Manifest.from_message(envelope.update)
    except (DecodeError, IntegrityError):
        return None
    if manifest.n_bytes != n_bytes:
        return None
    data = mapped(path)[:n_bytes]
    return Held(path, envelope, signed, foot[:_SIGNATURE_BYTES], manifest, data)


def _written(file: BinaryIO, update: Update) -> Manifest:
    """Write an update, and hash it while what is large of it is on its way to the disk."""
    arrays = update.values, update.integers
    parts = [array.data.cast("B") for array in arrays if array.nbytes]
    if update.values.nbytes + update.integers.nbytes <= CHUNK_BYTES:
        file.writelines(parts)
        return Manifest.of(*parts)
    with ThreadPoolExecutor(1, thread_name_prefix="flnb-client-sync") as beside:
        synced = beside.submit(_synced, file, parts)
        manifest = Manifest.of(*parts)
        synced.result()
    return manifest


def _synced(file: BinaryIO, parts: Iterable[memoryview]) -> None:
    for part in parts:
        for start in range(0, len(part), SOONER_BYTES):
            begun = file.tell()
            written = file.write(part[start : start + SOONER_BYTES])
            file.flush()
            begin_writing(file.fileno(), begun, written)
    os.fsync(file.fileno())


@contextmanager
def _removed_when_full(partial: Path, spares: SpareFiles) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        partial.unlink(missing_ok=True)
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            spares.drop()  # for the next try
            free = shutil.disk_usage(partial.parent).free
            raise StorageFullError(str(partial.parent), free) from error
        raise
