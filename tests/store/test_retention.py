"""Bytes of commits: weighed before they go, freed exactly, and never under a writer's hands."""

import signal
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from flnb.core.errors import LabLostError, StoreError
from flnb.store import History, chunks, repository, sweep, weigh
from flnb.store.chunks import CHUNK_BYTES
from flnb.store.retention import DESCRIPTION_BYTES
from flnb.testing.stores import same_bits

CHUNK = CHUNK_BYTES // 4
FAR = datetime.now(UTC) + timedelta(days=3)
"""All that the tests write was written before it."""


@pytest.fixture
def history(tmp_path):
    return History(tmp_path / "history")


def written(history, n, *, run="r", seed=0):
    """Commit versions in which one chunk of four changes, and every tenth time all."""
    rng = np.random.default_rng(seed)
    values, versions = rng.random(4 * CHUNK, np.float32), {}
    for number in range(n):
        values[(number % 4) * CHUNK] += 1
        if number % 10 == 9:
            values += 1
        groups = {"parameters": values.copy(), "few": np.full(4, number, np.int64)}
        versions[history.write(run, groups, {"round": number})] = groups
    return versions


def on_disk(history):
    folders = ("chunks", "manifests", "snapshots", "transactions")
    files = [file for name in folders for file in (history.place.folder / name).iterdir()]
    return len(files), sum(file.stat().st_size for file in files)


def test_what_is_weighed_is_what_is_freed_also_where_chunks_are_shared(history):
    trunk = written(history, 23)
    history.reset("fork", list(trunk)[12])
    fork = written(history, 3, run="fork", seed=1)
    named = {*list(trunk)[::10], list(trunk)[22], list(fork)[2]}
    victims = {*trunk, *fork} - named
    weight, (n_before, bytes_before) = weigh(history.place, victims, named), on_disk(history)
    freed = sweep(history.place, lambda: named, FAR, FAR)
    n_after, bytes_after = on_disk(history)
    assert weight.objects == freed.objects == n_before - n_after
    off = abs(weight.size_bytes - (bytes_before - bytes_after))
    assert off < DESCRIPTION_BYTES * len(victims)
    history.close()
    for snapshot in named:
        assert same_bits(history.read(snapshot), (trunk | fork)[snapshot])


def test_what_is_weighed_is_what_is_freed_across_a_change_of_the_size_of_chunks(
    history, monkeypatch
):
    versions = list(written(history, 3))
    monkeypatch.setattr(chunks, "_MANY", 2)
    history.close()
    versions += list(written(history, 3))
    weight, (files_before, bytes_before) = (
        weigh(history.place, versions[:5], versions[5:]),
        on_disk(history),
    )
    sweep(history.place, lambda: set(versions[5:]), FAR, FAR)
    files_after, bytes_after = on_disk(history)
    off = abs(weight.size_bytes - (bytes_before - bytes_after))
    assert off < DESCRIPTION_BYTES * len(versions)
    assert weight.objects == files_before - files_after


def test_old_commits_stay_below_young_ones_and_go_by_other_rules_later(history):
    versions = list(written(history, 8))
    sweep(history.place, lambda: set(versions[2:]), FAR, FAR)
    weight = weigh(history.place, versions[2:6], versions[6:])
    freed = sweep(history.place, lambda: set(versions[6:]), FAR, FAR)
    assert freed.objects == weight.objects > 0
    assert sweep(history.place, lambda: set(versions[6:]), FAR, FAR).objects == 0


def test_nothing_from_after_the_moment_goes_and_nothing_that_is_there_is_cut(history):
    versions = list(written(history, 4))
    before, long_ago = on_disk(history), FAR - timedelta(days=30)
    assert sweep(history.place, lambda: set(versions[3:]), FAR, long_ago).objects == 0
    assert on_disk(history) == before


def test_a_named_commit_stays_that_no_branch_and_no_tag_reaches(history):
    versions, long_ago = written(history, 4), FAR - timedelta(days=30)
    history.keep("r.1", list(versions)[2])  # of a move that was refused, before the last round
    history.reset("r", next(iter(versions)))
    sweep(history.place, lambda: set(versions), long_ago, FAR)
    history.close()
    for snapshot, groups in versions.items():
        assert same_bits(history.read(snapshot), groups)


def test_what_cannot_be_looked_at_now_is_neither_light_nor_old(history):
    versions = list(written(history, 4))
    history.keep("kept", versions[1])
    history.reset("r", versions[0])
    file = history.place.folder / "snapshots" / versions[1]
    file.rename(file.with_suffix(".aside"))
    file.symlink_to(file)  # a loop: no error of the disk is more lasting, and even root gets it
    with pytest.raises(StoreError, match="Too many levels"):
        weigh(history.place, versions[1:2], versions[:1])
    with pytest.raises(StoreError, match="cannot be used"):
        sweep(history.place, lambda: set(versions[:1]), FAR, FAR)
    file.with_suffix(".aside").rename(file)
    sweep(history.place, lambda: set(versions[:2]), FAR, FAR)
    assert history.read(versions[1])["few"].tolist() == [1] * 4


WRITER = """
import sys, numpy
from flnb.store import History
print(History(sys.argv[1]).write("r", {"parameters": numpy.arange(600000, dtype="f4")}, {}))
"""


def test_a_sweep_waits_for_a_writer_between_its_chunks_and_its_commit(
    history, monkeypatch, interpreters
):
    (named,) = written(history, 1)
    stops = {"FLNB_FAILPOINT": "chunks-written"}
    with interpreters.start(WRITER, str(history.place), **stops) as writer:
        writer.stopped()
        monkeypatch.setattr(repository, "_LOCK_TIMEOUT_S", 0.1)
        try:
            with pytest.raises(StoreError, match="another process has been writing"):
                sweep(history.place, lambda: {named}, FAR, FAR)
        finally:
            writer.send_signal(signal.SIGCONT)
        snapshot = writer.stdout.readline().strip()
    sweep(history.place, lambda: {named, snapshot}, FAR, FAR)
    history.close()
    assert history.read(snapshot)["parameters"].tolist() == list(range(600000))


SWEEPER = """
import sys
from datetime import UTC, datetime, timedelta
from flnb.store import sweep
from flnb.store.place import HistoryPlace
far = datetime.now(UTC) + timedelta(days=3)
sweep(HistoryPlace.parse(sys.argv[1]), lambda: set(sys.argv[2:]), far, far)
"""


@pytest.mark.parametrize("place", ["held", "cut"])
def test_what_a_sweep_that_was_killed_left_the_next_one_frees(history, place, interpreters):
    versions = written(history, 6)
    named = list(versions)[1::2]  # with the tip of the branch
    weight = weigh(history.place, versions.keys() - set(named), named)
    stops = {"FLNB_FAILPOINT": place}
    with interpreters.start(SWEEPER, str(history.place), *named, **stops) as sweeper:
        sweeper.stopped()
        sweeper.kill()
    assert sweep(history.place, lambda: set(named), FAR, FAR).objects == weight.objects
    history.close()
    for snapshot in named:
        assert same_bits(history.read(snapshot), versions[snapshot])


def test_a_commit_that_stays_and_cannot_be_read_lets_nothing_go(history):
    versions = list(written(history, 3))
    (history.place.folder / "snapshots" / versions[1]).write_bytes(b"torn")
    before = on_disk(history)
    with pytest.raises(StoreError, match="no bytes were freed") as damaged:
        sweep(history.place, lambda: set(versions[1:]), FAR, FAR)
    assert "flnb verify" in damaged.value.hint
    assert on_disk(history) == before


@pytest.mark.parametrize("steps", [0, 1, 2, 3])
def test_who_lost_the_lab_meanwhile_goes_no_step_further(history, steps):
    versions = list(written(history, 4))
    (before, _), left = on_disk(history), [None] * steps

    def check():
        if not left:
            raise LabLostError("lab", 1, 2, "somebody else")
        left.pop()

    with pytest.raises(LabLostError):
        sweep(history.place, lambda: {versions[0], versions[3]}, FAR, FAR, check)
    assert on_disk(history)[0] == before
    assert sweep(history.place, lambda: {versions[0], versions[3]}, FAR, FAR).objects > 0
