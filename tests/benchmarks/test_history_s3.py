"""The benchmarks of history in S3 at a tiny size: they run, against a real server."""

import os

from benchmarks import history_s3


def test_heads_move_and_commits_stand_beside_one_object(monkeypatch):
    monkeypatch.setenv("FLNB_PROGRESS", "off")
    before = dict(os.environ)
    rows = list(history_s3.rows(times=1, sizes={"tiny": 2_000}, n_bytes=1_000_000))
    assert [row.unit for row in rows] == ["ms", "ms", "MB/s", "times"]
    assert all(row.value > 0 for row in rows)
    assert dict(os.environ) == before
