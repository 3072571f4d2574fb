"""The repository of a folder: made by who writes, and locked as every file system can."""

import errno
import fcntl
import os

import pytest

from flnb.core.errors import StoreError
from flnb.store import History
from flnb.testing.stores import same_bits, sample_groups


def test_one_writer_at_a_time_is_seen_to_by_a_file_that_may_be_written(tmp_path, monkeypatch):
    right = fcntl.flock

    def as_on_nfs(fd, how):
        if fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            raise OSError(errno.EBADF, "Bad file descriptor")
        right(fd, how)

    monkeypatch.setattr("flnb.store.repository.fcntl.flock", as_on_nfs)
    snapshot = History(tmp_path / "history").write("r", sample_groups(), {})
    assert same_bits(History(tmp_path / "history").read(snapshot), sample_groups())


def test_reading_makes_nothing(tmp_path):
    with pytest.raises(StoreError, match="no commit of any run"):
        History(tmp_path / "lab" / "history").meta("AAAAAAAAAAAAAAAAAAA0")
    assert list(tmp_path.iterdir()) == []
