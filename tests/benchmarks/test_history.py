"""The benchmarks of history at a tiny size: they run, and what does not depend on speed holds."""

import pytest

from benchmarks import history_commits, history_many, history_moves


@pytest.fixture(autouse=True)
def _quiet(monkeypatch):
    monkeypatch.setenv("FLNB_PROGRESS", "off")


def test_heads_move_to_and_fro_and_a_resume_reaches_its_first_order():
    with history_moves.two_rounds(2_000) as small, history_moves.two_rounds(300_000) as large:
        rows = list(history_moves.moves({"small": small, "large": large}, times=2))
        assert [row.unit for row in rows] == ["ms"] * 4 + ["times"] * 2
        rows = list(history_moves.resumes("large", large, times=2))
        assert [row.unit for row in rows] == ["MB/s", "times", "times"]
        assert all(row.value > 0 for row in rows[:2])
        assert len(large.run.history.df()) == 2, "no round was closed"


def test_one_layer_of_twenty_is_written_and_not_the_others():
    (written, _) = history_commits.one_layer(20 * 4_194_304)
    assert 1 <= written.value < 1.01


def test_a_commit_stands_beside_a_plain_file():
    rows = list(history_commits.all_new(3_000_000, times=1))
    assert all(row.value > 0 for row in rows)


def test_a_run_of_many_commits_is_opened_listed_and_loaded():
    rows = {row.name: row.value for row in history_many.rows(5, edge=2, times=1)}
    assert rows["chunks: files a commit"] == 1
    assert rows["load commit 5"] > 0
