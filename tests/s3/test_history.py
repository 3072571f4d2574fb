"""History in S3: the same bits, one winner, nothing lost when the line is bad."""

import numpy as np
import pytest

from flnb.core.errors import NotFoundError, StoreError
from flnb.store import History, bucket
from flnb.testing.stores import same_bits, sample_groups


def test_versions_are_read_back_bit_for_bit_by_another_process(place):
    history = History(place)
    snapshots = [history.write("r", sample_groups(step), {"round": step}) for step in range(3)]
    other = History(str(place))
    for step, snapshot in enumerate(snapshots):
        assert same_bits(other.read(snapshot), sample_groups(step))
        assert other.meta(snapshot) == {"round": step}


def test_a_chunk_that_did_not_change_is_not_sent_again(place):
    history, values = History(place), np.arange(1 << 20, dtype=np.float32)
    history.write("r", {"parameters": values}, {})
    before = history.size_bytes
    values[0] += 1
    history.write("r", {"parameters": values}, {})
    assert 1 << 20 <= history.size_bytes - before < (1 << 20) + 100_000


def test_a_branch_goes_back_to_its_last_named_commit(place):
    history = History(place)
    named = history.write("r", sample_groups(1), {})
    history.write("r", sample_groups(2), {})
    for other in (history, History(place)):
        other.keep("kept", named)
    History(place).reset("r", named)
    after = history.write("r", sample_groups(3), {})
    assert same_bits(history.read(after), sample_groups(3))
    history.reset("r", None)
    assert same_bits(history.read(named), sample_groups(1))


def test_unknown_snapshots_are_not_found(place):
    history = History(place)
    history.write("other", sample_groups(), {})
    for look in (history.read, history.meta, lambda name: history.reset("r", name)):
        with pytest.raises(NotFoundError, match="snapshot"):
            look("AAAAAAAAAAAAAAAAAAA0")


def test_a_creation_that_was_killed_half_way_is_finished(place, server):
    History(place).check()
    client = server.client()
    client.delete_object(Bucket=place.bucket, Key=f"{place.prefix}/refs/branch.main/ref.json")
    client.close()
    snapshot = History(place).write("r", sample_groups(), {})
    assert same_bits(History(place).read(snapshot), sample_groups())


def test_a_probe_that_was_left_behind_is_in_nobodys_way(place, monkeypatch):
    def killed(client, name, key):
        client.put_object(Bucket=name, Key=key, Body=b"flnb")
        return []

    monkeypatch.setattr(bucket, "_ignored_conditions", killed)
    snapshot = History(place).write("r", sample_groups(), {})
    assert same_bits(History(place).read(snapshot), sample_groups())


def test_reading_tries_no_write_and_makes_nothing(place, monkeypatch):
    snapshot, elsewhere = History(place).write("r", sample_groups(), {}), place.below("elsewhere")
    monkeypatch.setattr(bucket, "check_bucket", lambda _: pytest.fail("it wrote"))
    assert same_bits(History(place).read(snapshot), sample_groups())
    with pytest.raises(StoreError, match="no commit of any run"):
        History(elsewhere).read(snapshot)
    assert History(elsewhere).size_bytes == 0


def test_a_history_that_was_opened_for_reading_is_tried_before_it_writes(place, monkeypatch):
    snapshot, tried = History(place).write("r", sample_groups(), {}), []
    monkeypatch.setattr(bucket, "check_bucket", tried.append)
    history = History(place)
    history.read(snapshot)
    history.reset("r", None)
    history.reset("r", snapshot)
    assert tried == [place]
