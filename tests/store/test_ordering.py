"""Clocks that do not agree: a commit that stands on one of a machine whose clock is ahead."""

import struct
from datetime import UTC, timedelta

import pytest
from numcodecs import zstd

from flnb.core.errors import ClockBehindError
from flnb.store import History
from flnb.store.answers import error_of, told
from flnb.testing.stores import same_bits, sample_groups

HEADER_BYTES = 39
SECOND = timedelta(seconds=1)


@pytest.fixture
def history(tmp_path):
    return History(tmp_path / "history")


def written_ahead(history, ahead):
    """A commit as a machine writes it whose clock is ahead."""
    snapshot = history.write("run", sample_groups(1), {"epoch": 1})
    at = history._open().lookup_snapshot(snapshot).written_at.astimezone(UTC)
    stamp = int(at.timestamp()) * 1_000_000 + at.microsecond
    file = history.place.folder / "snapshots" / snapshot
    whole = file.read_bytes()
    header, body = whole[:HEADER_BYTES], zstd.decompress(whole[HEADER_BYTES:])
    there, then = struct.pack("<Q", stamp), struct.pack("<Q", stamp + ahead // (SECOND / 10**6))
    assert there in body
    file.write_bytes(header + zstd.compress(body.replace(there, then)))
    history.close()
    return snapshot, at + ahead


def test_a_clock_that_is_a_little_behind_is_waited_for(history):
    snapshot, _ = written_ahead(history, SECOND / 2)
    second = history.write("run", sample_groups(2), {"epoch": 1})
    assert same_bits(history.read(second), sample_groups(2))
    history.reset("run", snapshot, epoch=2)
    assert history.write("run", sample_groups(3), {"epoch": 2})


def test_a_mark_waits_as_well(history):
    snapshot, at = written_ahead(history, SECOND / 2)
    history.reset("run", snapshot, epoch=2)
    tip = history._open().lookup_branch("run")
    assert history._open().lookup_snapshot(tip).written_at >= at


def test_a_clock_that_is_far_behind_is_named_with_both_times(history):
    snapshot, at = written_ahead(history, 1000 * SECOND)
    with pytest.raises(ClockBehindError, match=f"{at:%H:%M:%S} UTC by the clock") as refused:
        history.write("run", sample_groups(2), {"epoch": 1})
    assert refused.value.before == at
    assert abs(at - refused.value.here - 1000 * SECOND) < 10 * SECOND
    with pytest.raises(ClockBehindError):
        history.reset("run", snapshot, epoch=2)
    assert history._open().lookup_branch("run") == snapshot
    assert str(error_of(told(refused.value))) == str(refused.value)
