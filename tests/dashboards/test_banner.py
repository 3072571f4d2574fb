"""What stands above a page: where it comes from, and whether it is old."""

from datetime import UTC, datetime, timedelta

import pytest

from flnb.core.view import RunView, Status
from flnb.dashboards.components.banner import banner, stale
from flnb.dashboards.standing import Standing

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def view(status=Status.RUNNING, seconds_a_round=2.0):
    return RunView("otter", "main", 1, status, 100, seconds_a_round=seconds_a_round)


@pytest.mark.parametrize(("usual_s", "passed_s"), [(0.1, 7), (4.0, 13)])
def test_a_run_without_news_for_three_rounds_is_called_stale(usual_s, passed_s):
    said = stale(view(seconds_a_round=usual_s), NOON, NOON + timedelta(seconds=passed_s))
    assert "No news of otter" in said


@pytest.mark.parametrize(("usual_s", "passed_s"), [(0.1, 5), (4.0, 11)])
def test_a_run_that_takes_its_time_is_not(usual_s, passed_s):
    assert stale(view(seconds_a_round=usual_s), NOON, NOON + timedelta(seconds=passed_s)) == ""


def test_a_run_that_rests_is_never_stale():
    assert stale(view(Status.PAUSED), NOON, NOON + timedelta(days=1)) == ""


def test_the_store_and_a_lost_coordinator_are_said_and_a_live_one_is_not():
    assert "Read from the store, last write" in banner(Standing("store", NOON, NOON))
    assert "&lt;b&gt;" in banner(Standing("offline", NOON, None, "<b>"))
    assert banner(Standing("live", NOON)) == ""
