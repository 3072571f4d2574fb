"""Schedules: five fields of cron, written for systemd where it looks after the user, else for cron."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

import flnb
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
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return add


def test_a_timer_is_written_where_systemd_looks_after_the_user(programs, tmp_path):
    programs("systemctl", f'echo "$@" >> {tmp_path}/called')
    planned = Schedule.of(Path("study.yaml"), Path("lab"), "30 2 * * 1-5", workers=2)
    assert "OnCalendar=Mon,Tue,Wed,Thu,Fri *-*-* 2:30:00" in planned.told
    assert "enable-linger" in planned.write()
    (timer,) = (tmp_path / "config/systemd/user").glob("flnb-study-*.timer")
    assert "OnCalendar=Mon,Tue" in timer.read_text()
    assert '"--workers" "2"' in timer.with_suffix(".service").read_text()
    assert f"--user enable --now {timer.name}" in (tmp_path / "called").read_text()


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


def test_studies_of_one_name_in_two_labs_have_a_schedule_each():
    planned = [
        Schedule.of(Path(folder, "study.yaml"), Path(folder, "lab"), "0 2 * * *", cron=True)
        for folder in ("one", "two", "two")
    ]
    assert planned[0].name != planned[1].name == planned[2].name


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


needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not here"
)


@needs_systemd
@pytest.mark.parametrize(
    "at", ["0 2 * * *", "*/15 1-5 * * 0,6", "0 0 1 */2 *", "0 2 * * 0-6", "0 2 * * 5-7"]
)
def test_systemd_understands_what_is_written(at):
    when = on_calendar(tuple(at.split()))
    asked = ["systemd-analyze", "calendar", when]
    assert subprocess.run(asked, capture_output=True, check=False).returncode == 0


@needs_systemd
@pytest.mark.parametrize("place", ["plain", "it's 50% of $HOME", 'a "quoted" \\ name'])
def test_systemd_finds_nothing_wrong_with_a_timer_wherever_it_was_made(
    programs, tmp_path, monkeypatch, place
):
    programs("systemctl", "exit 0")
    (tmp_path / place).mkdir()
    monkeypatch.chdir(tmp_path / place)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))  # systemd-analyze writes there
    monkeypatch.setenv("FLNB_DATA_DIR", str(tmp_path / place))
    monkeypatch.setattr("sys.executable", shutil.copy("/bin/true", "python"))
    shutil.copy("/bin/true", "flnb")
    planned = Schedule.of(Path("my alphas%.yaml"), Path("lab"), "30 2 * * 1-5")
    planned.write()
    asked = ["systemd-analyze", "--user", "verify", *map(str, planned.files)]
    said = subprocess.run(asked, capture_output=True, text=True, check=False)
    assert (said.returncode, said.stderr) == (0, "")


CRON = shutil.which("cron", path="/usr/sbin")


@pytest.fixture
def table():
    """The user's table of cron, which is afterwards as it was."""
    before = subprocess.run(["crontab", "-l"], capture_output=True, text=True, check=False)
    yield
    back = ["crontab", "-"] if before.returncode == 0 else ["crontab", "-r"]
    subprocess.run(back, input=before.stdout, text=True, check=True)


@pytest.mark.long
@pytest.mark.timeout(240)
@pytest.mark.skipif(CRON is None or os.geteuid() != 0, reason="needs Debian's cron, and to be root")
def test_cron_executes_a_study_by_its_line(table, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "50% log's"))
    program = Path(sys.executable).with_name("flnb")
    place = tmp_path / "50% it's mine"
    subprocess.run([program, "new", place], check=True)
    (place / "study.yaml").write_text("notebook: first.ipynb\ngrid: {alpha: [0.5]}\n")
    asked = [program, "study", "schedule", "study.yaml", "--at", "* * * * *", "--cron", "--yes"]
    subprocess.run(asked, cwd=place, check=True)
    # A daemon that runs already executes the line as well: this one then ends at once.
    with subprocess.Popen([CRON, "-f"]) as cron:
        try:
            said = awaited(tmp_path / "50% log's/flnb", "1 finished")
        finally:
            cron.terminate()
    lab = flnb.open(place / "lab")
    rows = lab.study("study").df()
    lab.store.close()
    assert [(row.outcome, row.alpha) for row in rows.itertuples()] == [("finished", 0.5)], said


def awaited(folder, text, seconds=150):
    """What a schedule's log holds, once this text is in it."""
    end = time.monotonic() + seconds
    while True:
        said = "".join(path.read_text() for path in folder.glob("flnb-study-*.log"))
        if text in said:
            return said
        assert time.monotonic() < end, said
        time.sleep(1)
