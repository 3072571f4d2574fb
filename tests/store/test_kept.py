"""Kept updates: read back as they were, sealed on the disk, and gone when they expire."""

import os

import numpy as np
import pytest

from flnb.core import SecretRoot
from flnb.core.errors import NotFoundError, StoreError
from flnb.store import KeptUpdate, KeptUpdates, RoundKey
from flnb.store import kept as kept_module


@pytest.fixture
def kept(tmp_path):
    return KeptUpdates(tmp_path / "kept", lambda: SecretRoot(b"s" * 32))


def update(client, size=1000, fill=1.25):
    values = np.full(size, fill, np.float32)
    return KeptUpdate(client, 7, values, np.arange(3, dtype=np.int64))


def keep(kept, key, *updates):
    keeping = kept.begin(key)
    for one in updates:
        keeping.put(one)
    keeping.finish()


def files(tmp_path):
    return sorted(path for path in (tmp_path / "kept").rglob("*") if path.is_file())


def test_what_is_kept_is_read_back_in_order(kept, monkeypatch):
    monkeypatch.setattr(kept_module, "_FRAME_BYTES", 1000)
    empty = KeptUpdate("c", 1, np.zeros(0, np.float32), np.zeros(0, np.int64))
    keep(kept, RoundKey("r", 1, 3), update("b"), update("a", 1001, -2.0), empty)
    found = list(kept.read(RoundKey("r", 1, 3)))
    assert [(one.client, one.n_examples) for one in found] == [("b", 7), ("a", 7), ("c", 1)]
    np.testing.assert_array_equal(found[1].values, update("a", 1001, -2.0).values)
    np.testing.assert_array_equal(found[1].integers, [0, 1, 2])
    assert found[2].values.size == 0


def test_on_the_disk_nobody_can_read_it(kept, tmp_path):
    keep(kept, RoundKey("r", 1, 3), update("client-of-a-hospital"))
    (path,) = files(tmp_path)
    data = path.read_bytes()
    assert b"hospital" not in data
    assert np.float32(1.25).tobytes() * 4 not in data
    assert path.stat().st_mode & 0o077 == 0
    strangers = KeptUpdates(tmp_path / "kept", lambda: SecretRoot(b"x" * 32))
    with pytest.raises(StoreError, match="round 3 of r, generation 1 cannot be read"):
        list(strangers.read(RoundKey("r", 1, 3)))


def test_a_round_has_a_key_of_its_own_and_cannot_stand_in_for_another(kept, tmp_path):
    for round_ in (1, 2):
        keep(kept, RoundKey("r", 1, round_), update("a"))
    first, second = files(tmp_path)
    assert first.read_bytes()[100:] != second.read_bytes()[100:]
    second.write_bytes(first.read_bytes())
    with pytest.raises(StoreError, match="round 2"):
        list(kept.read(RoundKey("r", 1, 2)))


@pytest.mark.parametrize("damage", ["flip", "cut", "swap", "head"])
def test_damage_is_found(kept, tmp_path, monkeypatch, damage):
    monkeypatch.setattr(kept_module, "_FRAME_BYTES", 400)
    keep(kept, RoundKey("r", 1, 1), update("a", 200))
    (path,) = files(tmp_path)
    data, frame = bytearray(path.read_bytes()), 420
    if damage == "cut":  # the whole last frame
        data = data[: -(4 + len('{"end": 1}') + 16)]
    elif damage == "swap":
        start = data.index((416).to_bytes(4, "big"))
        one, two = data[start : start + frame], data[start + frame : start + 2 * frame]
        data[start : start + 2 * frame] = two + one
    else:
        data[20 if damage == "head" else -20] ^= 1
    path.write_bytes(data)
    with pytest.raises(StoreError, match="damaged"):
        list(kept.read(RoundKey("r", 1, 1)))


def test_what_expires_is_gone_also_for_whoever_has_it_open(kept, tmp_path):
    for key in (
        RoundKey("r", 1, 9),
        RoundKey("r", 1, 10),
        RoundKey("r", 2, 3),
        RoundKey("q", 1, 1),
    ):
        keep(kept, key, update("a"))
    (oldest,) = [path for path in files(tmp_path) if path.name == "1.9.updates"]
    copy = tmp_path / "kept" / "r" / "1.11.updates"
    os.link(oldest, copy)  # stands for the blocks that an unlinked file leaves on a disk
    assert kept.rounds("r")[0] == RoundKey("r", 1, 9)
    copy.rename(tmp_path / "found")
    assert kept.expire("r", keep=2) == [RoundKey("r", 1, 9)]
    assert kept.rounds("r") == [RoundKey("r", 1, 10), RoundKey("r", 2, 3)]
    assert RoundKey("q", 1, 1) in kept
    assert not oldest.exists()
    (tmp_path / "found").rename(oldest)
    with pytest.raises(StoreError, match="cannot be read"):
        list(kept.read(RoundKey("r", 1, 9)))


def test_what_was_not_finished_is_not_kept(kept, tmp_path):
    keeping = kept.begin(RoundKey("r", 1, 1))
    keeping.put(update("a"))
    assert RoundKey("r", 1, 1) not in kept
    kept.tidy("r")
    assert files(tmp_path) == []
    keeping.abandon()
    with pytest.raises(NotFoundError, match="kept updates of round '1'"):
        list(kept.read(RoundKey("r", 1, 1)))


def test_a_round_that_is_done_again_replaces_what_was_kept(kept, tmp_path):
    for fill in (1.0, 2.0):
        keep(kept, RoundKey("r", 1, 1), update("a", fill=fill))
    (found,) = kept.read(RoundKey("r", 1, 1))
    assert found.values[0] == 2.0
    assert len(files(tmp_path)) == 1
