"""Schedules: five fields of cron, written for systemd where it looks after the user, else for cron."""

import os
import subprocess
from pathlib import Path

import pytest

from flnb.core.errors import PlanError, StoreError
from flnb.experiments.schedule import Schedule, on_calendar


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """A folder of programs that note how they were called, before all others."""
    folder = tmp_path / "programs"
    folder.mkdir()

    def add(name, script):
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)

    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}/usr/bin{os.pathsep}/bin")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return add


def test_a_timer_is_written_where_systemd_looks_after_the_user(programs, tmp_path):
    programs("systemctl", f'echo "$@" >> {tmp_path}/called')
    planned = Schedule.of(Path("study.yaml"), Path("lab"), "30 2 * * 1-5", workers=2)
    assert "OnCalendar=Mon,Tue,Wed,Thu,Fri *-*-* 2:30:00" in planned.told
    assert "enable-linger" in planned.write()
    timer = tmp_path / "config/systemd/user/flnb-study.timer"
    assert "OnCalendar=Mon,Tue" in timer.read_text()
    assert "--workers 2" in timer.with_suffix(".service").read_text()
    assert "--user enable --now flnb-study.timer" in (tmp_path / "called").read_text()


def test_a_line_of_cron_takes_the_place_of_the_one_before(programs, tmp_path):
    programs("systemctl", "exit 1")
    table = tmp_path / "table"
    table.write_text("1 1 * * * other\n")
    programs("crontab", f'if [ "$1" = -l ]; then cat {table}; else cat > {table}; fi')
    Schedule.of(Path("study.yaml"), Path("lab"), "0 2 * * *").write()
    Schedule.of(Path("study.yaml"), Path("lab"), "0 3 * * *").write()
    lines = table.read_text().splitlines()
    assert lines[0] == "1 1 * * * other"
    assert len(lines) == 2
    assert lines[1].startswith("0 3 * * * ")


def test_a_table_that_cannot_be_read_is_not_written_over(programs, tmp_path):
    programs("systemctl", "exit 1")
    programs("crontab", f'echo "$@" >> {tmp_path}/called; echo "disk error" >&2; exit 1')
    with pytest.raises(StoreError, match="disk error"):
        Schedule.of(Path("study.yaml"), Path("lab"), "0 2 * * *").write()
    assert (tmp_path / "called").read_text() == "-l\n"


@pytest.mark.parametrize("cron", [True, False])
def test_a_password_is_kept_out_of_a_schedule(programs, monkeypatch, cron):
    programs("systemctl", "exit 0")
    monkeypatch.setenv("DATABASE_URL", "postgresql://ada:s3cret@host/lab")
    with pytest.raises(PlanError, match="DATABASE_URL holds a password") as refused:
        Schedule.of(Path("study.yaml"), Path("lab"), "0 2 * * *", cron=cron)
    assert "s3cret" not in str(refused.value)


def test_cron_finds_data_where_the_user_does(programs, monkeypatch):
    monkeypatch.setenv("FLNB_DATA_DIR", "/data/50%")
    line = Schedule.of(Path("study.yaml"), Path("lab"), "0 2 * * *", cron=True).line
    assert r"env FLNB_DATA_DIR=/data/50\% " in line


def test_without_either_the_line_is_for_somebody_else(programs, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path / "programs"))
    with pytest.raises(StoreError, match="neither systemd nor cron"):
        Schedule.of(Path("study.yaml"), Path("lab"), "0 2 * * *").write()


@pytest.mark.parametrize("at", ["0 2 * *", "60 2 * * *", "0 2 * * mon", "0 2 0 * *", "a b c d e"])
def test_what_is_no_time_is_refused(at):
    with pytest.raises(PlanError):
        Schedule.of(Path("study.yaml"), Path("lab"), at, cron=True)


def test_systemd_would_mean_something_else_by_two_days():
    with pytest.raises(PlanError, match="cron means either"):
        on_calendar(("0", "2", "1", "*", "1"))


@pytest.mark.skipif(
    subprocess.run(["sh", "-c", "command -v systemd-analyze"], capture_output=True).returncode != 0,
    reason="systemd-analyze is not here",
)
@pytest.mark.parametrize(
    "at", ["0 2 * * *", "*/15 1-5 * * 0,6", "0 0 1 */2 *", "0 2 * * 0-6", "0 2 * * 5-7"]
)
def test_systemd_understands_what_is_written(at):
    when = on_calendar(tuple(at.split()))
    asked = ["systemd-analyze", "calendar", when]
    assert subprocess.run(asked, capture_output=True, check=False).returncode == 0
