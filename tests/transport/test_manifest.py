import numpy as np
import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from flnb.core.errors import IntegrityError
from flnb.transport import CHUNK_BYTES, Manifest, Package
from flnb.transport.v1 import federation_pb2 as pb

LENGTHS = (0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES + 7)


def vector_of(n_bytes):
    return np.random.default_rng(n_bytes).bytes(n_bytes)


@pytest.mark.parametrize("n_bytes", LENGTHS)
def test_chunks_cover_a_vector_without_gaps_and_only_the_last_is_shorter(n_bytes):
    data, manifest = vector_of(n_bytes), Manifest.of(vector_of(n_bytes))
    chunks = [data[manifest.span(place)] for place in range(manifest.chunk_count)]
    assert b"".join(chunks) == data
    assert all(len(chunk) == CHUNK_BYTES for chunk in chunks[:-1])
    assert manifest.hashes == b"".join(blake3(chunk).digest() for chunk in chunks)
    assert manifest.digest == blake3(manifest.hashes).digest()


def test_arrays_and_views_have_the_manifest_of_their_bytes():
    vector = np.arange(200_000, dtype=np.float32)
    expected = Manifest.of(vector.tobytes())
    assert Manifest.of(vector) == Manifest.of(memoryview(vector)) == expected
    assert Manifest.of(np.empty(0, np.float32)) == Manifest(0, b"")


def test_a_chunk_passes_only_where_it_belongs():
    data = vector_of(2 * CHUNK_BYTES + 7)
    manifest = Manifest.of(data)
    first, last = data[manifest.span(0)], data[manifest.span(2)]
    assert manifest.check(0, first)
    assert manifest.check(2, memoryview(last))
    flipped = bytes([first[0] ^ 1]) + first[1:]
    wrong = [
        (0, flipped),
        (1, first),
        (2, last + b"\0"),
        (2, b""),
        (3, last),
        (-1, last),
        (-2, data[manifest.span(1)]),
    ]
    assert not any(manifest.check(place, chunk) for place, chunk in wrong)


@pytest.mark.parametrize("place", [-1, 3, 2**32])
def test_there_is_no_span_of_a_chunk_that_is_not_there(place):
    with pytest.raises(IndexError):
        Manifest.of(vector_of(2 * CHUNK_BYTES + 7)).span(place)


@given(st.sets(st.integers(0, 4)), st.integers(0, 5))
def test_only_chunks_that_changed_or_are_new_differ(changed, known_chunks):
    def manifest_of(salts):
        return Manifest(len(salts) * CHUNK_BYTES, b"".join(bytes([salt]) * 32 for salt in salts))

    new = manifest_of(range(5))
    old = manifest_of([9 if place in changed else place for place in range(known_chunks)])
    assert new.differing(old) == [
        place for place in range(5) if place in changed or place >= known_chunks
    ]
    assert new.differing(new) == []


def test_a_manifest_survives_the_wire():
    manifest = Manifest.of(vector_of(CHUNK_BYTES + 1))
    sent = pb.Manifest.FromString(manifest.to_message().SerializeToString())
    assert Manifest.from_message(sent, most_bytes=manifest.n_bytes) == manifest


@pytest.mark.parametrize(
    ("n_bytes", "n_hashes"), [(0, 1), (1, 0), (CHUNK_BYTES, 2), (CHUNK_BYTES + 1, 1), (2**63, 1)]
)
def test_a_manifest_that_contradicts_itself_is_refused(n_bytes, n_hashes):
    with pytest.raises(IntegrityError, match=f"a vector of {n_bytes} bytes"):
        Manifest.from_message(pb.Manifest(n_bytes=n_bytes, hashes=b"h" * 32 * n_hashes))
    with pytest.raises(IntegrityError):
        Manifest.from_message(pb.Manifest(n_bytes=CHUNK_BYTES, hashes=b"h" * 31))


def test_a_vector_over_the_bound_is_refused_with_both_numbers():
    message = Manifest.of(vector_of(2_000_000)).to_message()
    with pytest.raises(IntegrityError, match=r"2\.0 MB, at most 1\.0 MB"):
        Manifest.from_message(message, most_bytes=1_000_000)


def test_a_package_hands_out_the_chunks_of_its_vector():
    vector = np.arange(200_000, dtype=np.float32)
    package = Package(vector, Manifest.of(vector))
    places = range(package.manifest.chunk_count)
    assert package.chunks(places) == vector.tobytes()
    with pytest.raises(IndexError):
        package.chunks([len(places)])


def test_a_package_needs_the_manifest_of_its_own_vector():
    with pytest.raises(IntegrityError, match="3 bytes for a vector of 4"):
        Package(b"abcd", Manifest.of(b"abc"))


@pytest.mark.parametrize("n_bytes", [0, 5, CHUNK_BYTES, 2 * CHUNK_BYTES + 3, 9_000_000])
@pytest.mark.parametrize("more", [0, 8, CHUNK_BYTES + 8])
def test_a_vector_in_two_parts_has_the_chunks_of_the_whole(n_bytes, more):
    whole = vector_of(n_bytes + more)
    assert Manifest.of(whole[:n_bytes], whole[n_bytes:]) == Manifest.of(whole)
