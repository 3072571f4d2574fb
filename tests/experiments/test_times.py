"""When a schedule is due: what is no time, and what systemd makes of the others."""

import shutil
import subprocess

import pytest

from flnb.core.errors import PlanError
from flnb.experiments.times import fields_of, on_calendar


@pytest.mark.parametrize("at", ["0 2 * *", "60 2 * * *", "0 2 * * mon", "0 2 0 * *", "a b c d e"])
def test_what_is_no_time_is_refused(at):
    with pytest.raises(PlanError):
        fields_of(at)


def test_systemd_would_mean_something_else_by_two_days():
    with pytest.raises(PlanError, match="cron means either"):
        on_calendar(("0", "2", "1", "*", "1"))


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not here")
@pytest.mark.parametrize(
    "at", ["0 2 * * *", "*/15 1-5 * * 0,6", "0 0 1 */2 *", "0 2 * * 0-6", "0 2 * * 5-7"]
)
def test_systemd_understands_what_is_written(at):
    when = on_calendar(tuple(at.split()))
    asked = ["systemd-analyze", "calendar", when]
    assert subprocess.run(asked, capture_output=True, check=False).returncode == 0
