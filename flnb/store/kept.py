"""Single updates of rounds, kept for a replay: one encrypted file a round, which really goes.

    magic, wrapped round key (nonce, 32 bytes, tag), then frames: length, ciphertext

Every frame is AES-256-GCM under the key of its round, with its number as nonce: what was changed, moved or
cut off is found. The round's key is random, and stands in the file's head, wrapped by a key that is
derived from the lab's secret and bound to the name of the round. A file that expires has its
wrapped key overwritten on the disk before it is unlinked, so that whoever still holds the file
open, or finds its blocks, cannot read it. Copies that a file system, a disk or a backup made of
the key's block by itself are out of reach; they are worth nothing without the lab's secret.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from flnb.core import ClientId, RunId, SecretRoot
from flnb.core.errors import NotFoundError, StoreError
from flnb.core.failpoints import reach
from flnb.store.disk import room_at
from flnb.store.lineage import RoundKey

_MAGIC = b"flnb-kept-1\n"
_NONCE_BYTES, _KEY_BYTES, _TAG_BYTES = 12, 32, 16
_WRAPPED_BYTES = _NONCE_BYTES + _KEY_BYTES + _TAG_BYTES
_FRAME_BYTES = 4 * 1024 * 1024
_LENGTH = struct.Struct(">I")
_COMPLETE, _PARTIAL = ".updates", ".partial"


@dataclass(frozen=True, slots=True, eq=False)
class KeptUpdate:
    """One client's part of a round."""

    client: ClientId
    n_examples: int
    values: np.ndarray
    """Differences of floating tensors, float32, as they were added up."""
    integers: np.ndarray


class KeptUpdates:
    """The kept updates of a lab, a file for each round.

    Args:
        folder: Where they lie; made when the first is kept.
        secret: Gives the lab's secret root.
    """

    def __init__(self, folder: Path, secret: Callable[[], SecretRoot]) -> None:
        self._folder, self._secret = folder, secret

    def begin(self, key: RoundKey) -> Keeping:
        """Begin to keep the updates of a round, in the place of what is kept of it.

        Raises:
            StorageFullError: The disk is full.
        """
        path = self._path(key)
        with room_at(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            return Keeping(path, _name(key), self._wrapping())

    def rounds(self, run: RunId) -> list[RoundKey]:
        """Rounds of a branch of which updates are kept, in the order in which they closed."""
        names = [path.stem for path in (self._folder / run).glob(f"*{_COMPLETE}")]
        numbers = [name.split(".") for name in names if re.fullmatch(r"\d+\.\d+", name)]
        return sorted(RoundKey(run, int(one), int(other)) for one, other in numbers)

    def __contains__(self, key: object) -> bool:
        """Whether the updates of a round are kept."""
        return isinstance(key, RoundKey) and self._path(key).exists()

    def read(self, key: RoundKey) -> Iterator[KeptUpdate]:
        """Read the updates of a round, one at a time, in the order in which they were kept.

        Raises:
            NotFoundError: They are not kept, or not any more.
            StoreError: The file is damaged, or was written under another secret.
        """
        try:
            file = self._path(key).open("rb")
        except FileNotFoundError:
            raise NotFoundError("kept updates of round", key.round) from None
        with file:
            yield from _updates(_Frames(file, _name(key), self._wrapping()))

    def expire(self, run: RunId, keep: int) -> list[RoundKey]:
        """Delete the updates of all rounds of a branch but the last so many; returns which."""
        known = self.rounds(run)
        gone = known[: max(0, len(known) - keep)]
        for key in gone:
            _destroy(self._path(key))
        if gone:
            _sync(self._folder / run)
        return gone

    def tidy(self, run: RunId) -> None:
        """Delete what a crash left half-written of a branch that nobody drives."""
        for path in (self._folder / run).glob(f"*{_PARTIAL}"):
            _destroy(path)

    def _path(self, key: RoundKey) -> Path:
        return self._folder / key.run / f"{key.generation}.{key.round}{_COMPLETE}"

    def _wrapping(self) -> AESGCM:
        return AESGCM(self._secret().key(purpose="kept-updates"))


class Keeping:
    """The updates of one round on their way to the disk; not for two threads at once."""

    def __init__(self, path: Path, name: bytes, wrapping: AESGCM) -> None:
        self._path, self._partial = path, path.with_suffix(_PARTIAL)
        key, nonce = AESGCM.generate_key(8 * _KEY_BYTES), secrets.token_bytes(_NONCE_BYTES)
        self._cipher, self._name, self._number, self._count = AESGCM(key), name, 0, 0
        _destroy(self._partial)
        descriptor = os.open(self._partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self._file = os.fdopen(descriptor, "wb")
        self._file.write(_MAGIC + nonce + wrapping.encrypt(nonce, key, name))

    def put(self, update: KeptUpdate) -> None:
        """Write one update.

        Raises:
            StorageFullError: The disk is full.
        """
        facts = {
            "client": update.client,
            "n_examples": update.n_examples,
            "values": update.values.size,
            "integers": update.integers.size,
        }
        with room_at(self._partial):
            self._frame(json.dumps(facts).encode())
            for array in (update.values, update.integers):
                data = np.ascontiguousarray(array).data.cast("B")
                for start in range(0, len(data), _FRAME_BYTES):
                    self._frame(data[start : start + _FRAME_BYTES])
        self._count += 1

    def finish(self) -> None:
        """Make them durable: from now on they are found.

        Raises:
            StorageFullError: The disk is full.
        """
        with room_at(self._partial):
            self._frame(json.dumps({"end": self._count}).encode())
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            _destroy(self._path)  # the round is done again
            self._partial.replace(self._path)
            _sync(self._path.parent)
        reach("updates-kept")

    def abandon(self) -> None:
        """Nothing of it is kept."""
        self._file.close()
        _destroy(self._partial)

    def _frame(self, data: bytes | memoryview) -> None:
        sealed = self._cipher.encrypt(_nonce(self._number), data, self._name)
        self._file.write(_LENGTH.pack(len(sealed)) + sealed)
        self._number += 1


class _Frames:
    """Opens the frames of a file in their order."""

    def __init__(self, file: BinaryIO, name: bytes, wrapping: AESGCM) -> None:
        self._file, self._name, self._number = file, name, 0
        head = file.read(len(_MAGIC) + _WRAPPED_BYTES)
        nonce = head[len(_MAGIC) :][:_NONCE_BYTES]
        wrapped = head[len(_MAGIC) + _NONCE_BYTES :]
        if not head.startswith(_MAGIC):
            raise self._damaged()
        try:
            self._cipher = AESGCM(wrapping.decrypt(nonce, wrapped, name))
        except (InvalidTag, ValueError):
            raise self._damaged() from None

    def next(self) -> bytes:
        length = self._file.read(_LENGTH.size)
        if len(length) < _LENGTH.size or (size := _LENGTH.unpack(length)[0]) > 2 * _FRAME_BYTES:
            raise self._damaged()
        try:
            data = self._cipher.decrypt(_nonce(self._number), self._file.read(size), self._name)
        except InvalidTag:
            raise self._damaged() from None
        self._number += 1
        return data

    def array(self, n: int, dtype: type[np.generic]) -> np.ndarray:
        array = np.empty(n, dtype)
        data = array.data.cast("B") if n else memoryview(b"")
        for start in range(0, len(data), _FRAME_BYTES):
            part = self.next()
            data[start : start + len(part)] = part
        return array

    def _damaged(self) -> StoreError:
        return StoreError(
            f"{self._name.decode()} cannot be read: the file is damaged, or the lab's secret is another",
            hint="run.replay(…, train=True) trains the rounds again",
        )


def _updates(frames: _Frames) -> Iterator[KeptUpdate]:
    count = 0
    while "end" not in (facts := _facts(frames.next())):
        values = frames.array(facts["values"], np.float32)
        integers = frames.array(facts["integers"], np.int64)
        yield KeptUpdate(ClientId(facts["client"]), int(facts["n_examples"]), values, integers)
        count += 1
    assert facts["end"] == count, "frames are numbered: none can be missing"


def _facts(frame: bytes) -> Mapping[str, Any]:
    facts: Mapping[str, Any] = json.loads(frame)
    return facts


def _name(key: RoundKey) -> bytes:
    """What a round's key is bound to: no file can stand in for another one."""
    return f"updates of round {key.round} of {key.run}, generation {key.generation}".encode()


def _nonce(number: int) -> bytes:
    """A nonce is used once under its key: a round has a key of its own, a frame its number."""
    return number.to_bytes(_NONCE_BYTES, "big")


def _destroy(path: Path) -> None:
    """Overwrite the wrapped key, then unlink; nothing if there is no such file."""
    try:
        with path.open("r+b") as file:
            file.seek(len(_MAGIC))
            file.write(bytes(_WRAPPED_BYTES))
            file.flush()
            os.fsync(file.fileno())
    except FileNotFoundError:
        return
    path.unlink(missing_ok=True)


def _sync(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
