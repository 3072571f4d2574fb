"""The benchmarks of history in S3 at a tiny size: they run, against a real server."""

import os

from benchmarks import history_s3


def test_heads_move_and_commits_stand_beside_one_object(monkeypatch):
    monkeypatch.setenv("FLNB_PROGRESS", "off")
    before = dict(os.environ)
    rows = list(history_s3.rows(times=1, sizes={"tiny": 2_000}, n_bytes=1_000_000))
    units = ["ms", "ms", "", "", "", "", "MB/s", "times"]
    assert [row.unit for row in rows] == units
    assert all(row.value > 0 for row in rows if row.unit)
    counts = {row.name.removeprefix("S3: "): row.value for row in rows if not row.unit}
    most = {
        "roll back: requests to the bucket": 2,
        # Two of them are the benchmark's own, and one looks whether a guest has the run.
        "roll back: transactions of the state": 10,
        "branch: requests to the bucket": 0,
        "branch: transactions of the state": 5,
    }
    assert all(count <= most[what] for what, count in counts.items())
    assert dict(os.environ) == before
