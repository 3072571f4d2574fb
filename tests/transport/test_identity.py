"""A client's key: on its own disk alone, and what it signs means one thing."""

import errno
import os
import pickle
import threading

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
)
from hypothesis import assume, example, given
from hypothesis import strategies as st

from flnb.core.errors import StoreError
from flnb.transport.identity import Identity, key_pem, verify, write_once

ME, OTHER = Identity.create(), Identity.create()
ORDER = 2**252 + 27742317777372353535851937790883648493
"""Of the group that Ed25519 signs in."""
PARTS = st.lists(st.binary(max_size=20), max_size=4)
CONTEXTS = st.sampled_from(["flnb-join", "flnb-sign-in", "flnb", ""])


def test_a_saved_identity_is_the_same_one_when_loaded(tmp_path):
    ME.save(tmp_path / "deep" / "identity.pem")
    loaded = Identity.load(str(tmp_path / "deep" / "identity.pem"))
    assert loaded.public == ME.public
    assert verify(ME.public, loaded.sign("flnb-join", b"x"), "flnb-join", b"x")


def test_a_public_key_has_32_bytes_and_is_never_the_same_twice():
    assert len(ME.public) == 32
    assert ME.public != OTHER.public


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_only_its_owner_can_read_the_file(tmp_path, umask):
    before = os.umask(umask)
    try:
        ME.save(tmp_path / "new" / "identity.pem")
    finally:
        os.umask(before)
    assert (tmp_path / "new" / "identity.pem").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "new").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o644])
def test_a_file_that_others_can_reach_is_refused_with_the_way_out(tmp_path, mode):
    path = tmp_path / "my key.pem"
    ME.save(path)
    path.chmod(mode)
    with pytest.raises(StoreError, match=f"mode {mode:o}") as refused:
        Identity.load(path)
    assert f"chmod 600 '{path}'" in refused.value.hint
    path.chmod(0o600)
    assert Identity.load(path).public == ME.public


def test_an_identity_is_never_written_over(tmp_path):
    path = tmp_path / "identity.pem"
    ME.save(path)
    with pytest.raises(StoreError, match="never written over"):
        OTHER.save(path)
    assert Identity.load(path).public == ME.public
    assert os.listdir(tmp_path) == ["identity.pem"]


def test_not_even_over_a_link_that_leads_nowhere(tmp_path):
    (tmp_path / "identity.pem").symlink_to(tmp_path / "elsewhere.pem")
    with pytest.raises(StoreError, match="never written over"):
        ME.save(tmp_path / "identity.pem")
    with pytest.raises(StoreError, match="no key"):
        Identity.load_or_create(tmp_path / "identity.pem")
    assert not (tmp_path / "elsewhere.pem").exists()


@pytest.mark.parametrize("call", ["fsync", "link"])
def test_a_write_that_fails_leaves_nothing(tmp_path, monkeypatch, call):
    def fails(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, call, fails)
    with pytest.raises(StoreError, match="No space left on device"):
        ME.save(tmp_path / "identity.pem")
    assert os.listdir(tmp_path) == []


def test_the_file_is_on_the_disk_before_it_has_its_name_and_the_name_after_that(
    tmp_path, monkeypatch
):
    done, fsync, link = [], os.fsync, os.link

    def note_sync(handle):
        done.append("sync " + os.readlink(f"/proc/self/fd/{handle}").partition(str(tmp_path))[2])
        fsync(handle)

    def note_link(draft, path):
        done.append("link")
        link(draft, path)

    monkeypatch.setattr(os, "fsync", note_sync)
    monkeypatch.setattr(os, "link", note_link)
    ME.save(tmp_path / "identity.pem")
    assert done[0].startswith("sync /.identity.pem-")
    assert done[1:] == ["link", "sync "]


def test_load_or_create_makes_one_and_then_keeps_it(tmp_path):
    made = Identity.load_or_create(tmp_path / "identity.pem")
    assert Identity.load_or_create(tmp_path / "identity.pem").public == made.public


def test_all_who_create_at_the_same_moment_get_the_same_one(tmp_path):
    start, found = threading.Barrier(8), []

    def create():
        start.wait()
        found.append(Identity.load_or_create(tmp_path / "identity.pem").public)

    threads = [threading.Thread(target=create) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [Identity.load(tmp_path / "identity.pem").public] * 8
    assert os.listdir(tmp_path) == ["identity.pem"]


def test_what_holds_no_such_key_is_refused(tmp_path):
    private = Ed25519PrivateKey.generate()
    locked = private.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"word")
    )
    other_kind = key_pem(ec.generate_private_key(ec.SECP256R1()))
    cut = key_pem(private)[:60]
    for number, data in enumerate((locked, other_kind, cut, b"", os.urandom(100))):
        path = tmp_path / f"{number}.pem"
        write_once(path, data)
        with pytest.raises(StoreError, match="holds") as refused:
            Identity.load(path)
        assert "another invite" in refused.value.hint
        with pytest.raises(StoreError, match="holds"):
            Identity.load_or_create(path)
        assert path.read_bytes() == data


def test_a_path_that_cannot_be_read_or_written_is_named(tmp_path):
    with pytest.raises(StoreError, match=r"no key at .*identity\.pem"):
        Identity.load(tmp_path / "identity.pem")
    with pytest.raises(StoreError, match="directory"):
        Identity.load(tmp_path)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreError, match=r"identity\.pem cannot be written"):
        ME.save(tmp_path / "file" / "identity.pem")


def test_the_private_key_is_neither_shown_nor_pickled():
    shown = repr(ME) + str(ME) + f"{ME!r:>90}"
    assert ME.public.hex()[:12] in shown
    assert ME._private.private_bytes_raw().hex()[:8] not in shown
    with pytest.raises(TypeError):
        pickle.dumps(ME)


def test_what_is_signed_is_each_part_after_its_length_in_eight_bytes():
    """Coordinators and clients of other versions depend on it."""
    message = b"\0\0\0\0\0\0\0\x09flnb-join" + b"\0\0\0\0\0\0\0\x02ab" + b"\0" * 8
    assert ME.sign("flnb-join", b"ab", b"") == ME._private.sign(message)


@given(CONTEXTS, PARTS, CONTEXTS, PARTS)
@example("flnb", [b"ab", b"c"], "flnb", [b"a", b"bc"])
@example("flnb", [b"abc"], "flnb", [b"abc", b""])
@example("flnb", [b"-join"], "flnb-join", [b""])
@example("a", [b"\0\0\0\0\0\0\0\x01b"], "a", [b"", b"b"])
def test_a_signature_is_good_for_its_context_and_parts_and_no_others(context, parts, where, others):
    signature = ME.sign(context, *parts)
    assert verify(ME.public, signature, context, *parts)
    assert not verify(OTHER.public, signature, context, *parts)
    assert verify(ME.public, signature, where, *others) == ((context, parts) == (where, others))


@given(st.binary(min_size=1, max_size=40), st.integers(0, 63), st.integers(1, 255), st.data())
def test_no_changed_byte_verifies(part, place, change, data):
    signature = bytearray(ME.sign("flnb-update", part))
    changed = bytearray(part)
    changed[data.draw(st.integers(0, len(part) - 1))] ^= change
    assert not verify(ME.public, bytes(signature), "flnb-update", bytes(changed))
    signature[place] ^= change
    assert not verify(ME.public, bytes(signature), "flnb-update", part)


def test_no_second_signature_can_be_made_of_a_first():
    signature = ME.sign("flnb-update", b"x")
    scalar = int.from_bytes(signature[32:], "little") + ORDER
    assert not verify(
        ME.public, signature[:32] + scalar.to_bytes(32, "little"), "flnb-update", b"x"
    )


@given(st.binary(max_size=70), st.binary(max_size=70))
@example(b"", b"")
@example(b"\xff" * 32, b"\xff" * 64)
def test_what_is_no_key_or_no_signature_has_signed_nothing(public, signature):
    assume(public != ME.public)
    assert verify(public, ME.sign("c", b"x"), "c", b"x") is False
    assert verify(ME.public, signature, "c", b"x") is False
