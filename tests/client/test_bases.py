"""Versions as they arrive: only right chunks count, and none is fetched twice."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from flnb.client.bases import Bases
from flnb.core.errors import IntegrityError, UnreachableError
from flnb.transport.manifest import CHUNK_BYTES, Manifest

N_CHUNKS = 11


@pytest.fixture
def bases(tmp_path):
    made = []

    def make():
        made.append(Bases(tmp_path))
        return made[-1]

    yield make
    for one in made:
        one.close()


def version(seed, n_bytes=N_CHUNKS * CHUNK_BYTES - 100):
    return np.random.default_rng(seed).bytes(n_bytes)


class Source:
    """Serves one version; `end` is called with each place before its chunk goes out."""

    def __init__(self, data, before=lambda place: None):
        self.data, self.manifest = data, Manifest.of(data)
        self.asked: list[list[int]] = []
        self.before = before
        self.closed = 0

    async def fetch(self, places):
        self.asked.append(list(places))
        try:
            for place in places:
                await asyncio.sleep(0)
                changed = self.before(place)
                yield changed or self.data[self.manifest.span(place)]
        finally:
            self.closed += 1


def obtain(bases, source, inline=b""):
    return asyncio.run(bases.obtain(source.manifest, inline, source.fetch)).tobytes()


def test_a_version_arrives_whole_aligned_and_read_only(bases):
    source = Source(version(1))
    data = asyncio.run(bases().obtain(source.manifest, b"", source.fetch))
    assert data.tobytes() == source.data
    assert data.ctypes.data % 64 == 0
    assert not data.flags.writeable


def test_a_version_that_came_with_its_assignment_is_aligned_and_read_only(bases, tmp_path):
    source = Source(version(1, 1000))
    data = asyncio.run(bases().obtain(source.manifest, source.data, source.fetch))
    assert data.tobytes() == source.data
    assert data.ctypes.data % 64 == 0
    assert not data.flags.writeable
    assert source.asked == []
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("inline", [b"x", bytes(1000), bytes(CHUNK_BYTES + 1)])
def test_one_that_was_changed_on_its_way_is_not_taken(bases, inline):
    with pytest.raises(IntegrityError, match="changed on its way"):
        obtain(bases(), Source(version(1, 1000)), inline)


def test_the_same_version_is_not_fetched_again_even_by_the_next_process(bases):
    source = Source(version(1))
    first = bases()
    assert obtain(first, source) == obtain(first, source) == source.data
    assert obtain(bases(), source) == source.data
    assert source.asked == [list(range(N_CHUNKS))]


def test_only_what_changed_is_fetched(bases):
    before = version(1)
    after = bytearray(before)
    after[5 * CHUNK_BYTES + 9] ^= 1
    after[-1] ^= 1
    source = Source(bytes(after))
    one = bases()
    obtain(one, Source(before))
    assert obtain(one, source) == bytes(after)
    assert source.asked == [[5, N_CHUNKS - 1]]


def test_a_version_of_another_length_is_taken_over_what_was_there(bases):
    one = bases()
    data = version(1)
    obtain(one, Source(data))
    longer = Source(data[: 3 * CHUNK_BYTES] + version(2))
    assert obtain(one, longer) == longer.data
    shorter = Source(longer.data[: 5 * CHUNK_BYTES])
    assert obtain(one, shorter) == shorter.data
    assert shorter.asked == []


def test_a_transfer_that_broke_goes_on_also_in_the_next_process(bases):
    def breaks(place):
        if place == 9:
            raise UnreachableError("cut")

    source = Source(version(1), breaks)
    first = bases()
    with pytest.raises(UnreachableError):
        obtain(first, source)
    first.close()
    source.before = lambda place: None
    assert obtain(bases(), source) == source.data
    assert source.asked[1] == [9, 10]
    assert source.closed == 2


def test_a_wrong_chunk_is_named_and_fetched_again(bases):
    source = Source(version(1), lambda place: bytes(CHUNK_BYTES) if place == 6 else None)
    one = bases()
    with pytest.raises(IntegrityError, match="chunk 6"):
        obtain(one, source)
    source.before = lambda place: None
    assert obtain(one, source) == source.data
    assert source.asked[1][0] == 6
    assert 7 not in source.asked[1] or source.asked[1] == list(range(6, N_CHUNKS))


@pytest.mark.parametrize("places", [range(N_CHUNKS - 1), [*range(N_CHUNKS), 0]])
def test_more_or_fewer_chunks_than_were_asked_for_are_an_error(bases, places):
    source = Source(version(1))

    async def fetch(_):
        for place in places:
            yield source.data[source.manifest.span(place)]

    with pytest.raises(IntegrityError, match="chunks than it was asked for"):
        asyncio.run(bases().obtain(source.manifest, b"", fetch))


def test_one_that_is_given_up_does_not_write_into_the_next(bases):
    first, second = Source(version(1)), Source(version(2))
    one = bases()

    async def scene():
        for stop_after in range(1, 12):
            task = asyncio.create_task(one.obtain(first.manifest, b"", first.fetch))
            for _ in range(3 * stop_after):
                await asyncio.sleep(0.0001)
            task.cancel()
            await asyncio.wait([task])
            got = await one.obtain(second.manifest, b"", second.fetch)
            assert Manifest.of(got.data) == second.manifest
            one._kept = None
            one._file.unlink()

    asyncio.run(scene())


def test_whoever_trains_on_a_version_keeps_it_when_the_next_arrives(bases):
    one = bases()
    first, second = Source(version(1)), Source(version(2))
    data = asyncio.run(one.obtain(first.manifest, b"", first.fetch))
    obtain(one, second)
    assert data.tobytes() == first.data


def test_a_file_that_rotted_is_found_out(bases, tmp_path):
    source = Source(version(1))
    obtain(bases(), source)
    with (tmp_path / "base").open("r+b") as file:
        file.seek(4 * CHUNK_BYTES)
        file.write(b"rot")
    assert obtain(bases(), source) == source.data
    assert source.asked[1] == [4]
    (tmp_path / "base").write_bytes(b"")
    assert obtain(bases(), source) == source.data
