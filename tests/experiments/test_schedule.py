"""Schedules: five fields of cron, written for systemd where it looks after the user, else for cron."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

import flnb
from flnb.core.errors import PlanError, StoreError
from flnb.experiments.schedule import Schedule


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


def by_hand(line):
    """Do what cron does with a line."""
    command = line.split(" ", 5)[5].replace(r"\%", "%")
    subprocess.run(["/bin/sh", "-c", command], check=True)


@pytest.fixture
def odd_program(tmp_path, monkeypatch):
    """A program of an environment that is in an odd place; it says what it was given."""
    (tmp_path / "lr=0.1 it's").mkdir()
    program = tmp_path / "lr=0.1 it's" / "flnb"
    program.write_text('#!/bin/sh\necho "$FLNB_DATA_DIR: $@"\n')
    program.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(program.with_name("python")))
    monkeypatch.setenv("FLNB_DATA_DIR", "/data/50% it's")


def test_cron_executes_a_line_that_was_put_in_by_hand(programs, odd_program, tmp_path):
    by_hand(Schedule.of(Path("study.yaml"), Path("lab"), "0 2 * * *", cron=True).line)
    (log,) = (tmp_path / "state/flnb").glob("*.log")
    study, lab = Path("study.yaml").absolute(), Path("lab").absolute()
    assert log.read_text() == f"/data/50% it's: study run {study} --lab {lab}\n"


def test_a_timer_executes_a_program_whatever_its_path(programs, odd_program):
    programs("systemctl", "exit 0")
    planned = Schedule.of(Path("study.yaml"), Path("lab"), "0 2 * * *")
    (words,) = re.findall("ExecStart=(.*)", planned.told)
    command = shlex.split(words.replace("$$", "$").replace("%%", "%"))
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "study run" in said


def test_a_line_from_before_names_had_a_hash_makes_way_for_the_same_study_alone(
    programs, tmp_path, monkeypatch
):
    programs("systemctl", "exit 1")
    table = tmp_path / "table"
    programs("crontab", f'if [ "$1" = -l ]; then cat {table}; else cat > {table}; fi')
    monkeypatch.chdir(tmp_path)
    command = f"env /bin/flnb study run '{tmp_path}/my 50\\%.yaml' --lab {tmp_path}"
    other = f"0 3 * * * {command}/other # flnb-my 50%"
    table.write_text(f"0 1 * * * {command}/lab # flnb-my 50%\n{other}\n")
    planned = Schedule.of(Path("my 50%.yaml"), Path("lab"), "0 2 * * *")
    planned.write()
    assert table.read_text().splitlines() == [other, planned.line]


@pytest.mark.parametrize(("lab", "ended"), [("lab", True), ("other", False)])
def test_a_timer_from_before_names_had_a_hash_ends_where_it_was_of_the_same_study(
    programs, tmp_path, monkeypatch, lab, ended
):
    programs("systemctl", f'echo "$@" >> {tmp_path}/called')
    monkeypatch.chdir(tmp_path)
    units = tmp_path / "config/systemd/user"
    units.mkdir(parents=True)
    (units / "flnb-study.timer").touch()
    command = f"/bin/flnb study run {tmp_path}/study.yaml --lab {tmp_path}/{lab} --workers 2"
    (units / "flnb-study.service").write_text(f"[Service]\nExecStart={command}\n")
    Schedule.of(Path("study.yaml"), Path("lab"), "0 2 * * *").write()
    called = (tmp_path / "called").read_text()
    assert ("--user disable --now flnb-study.timer" in called) == ended
    assert len(list(units.glob("*.timer"))) == len(list(units.glob("*.service"))) == 2 - ended


def test_a_study_has_one_schedule_however_its_path_is_written(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    (tmp_path / "here/study.yaml").touch()
    (tmp_path / "linked").symlink_to("here")
    monkeypatch.chdir(tmp_path / "here")
    spelt = [("study.yaml", "lab"), ("../here/study.yaml", "../here/lab")]
    spelt.append((f"{tmp_path}/linked/study.yaml", f"{tmp_path}/linked/lab"))
    planned = [Schedule.of(Path(one), Path(lab), "0 2 * * *", cron=True) for one, lab in spelt]
    assert len({one.name for one in planned}) == 1
    in_s3 = [
        Schedule.of(Path("study.yaml"), Path(f"s3://{name}/lab"), "0 2 * * *", cron=True)
        for name in ("one", "two")
    ]
    assert in_s3[0].name != in_s3[1].name


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


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not here")
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
    there_was_one = before.returncode == 0
    back = ["crontab", "-"] if there_was_one else ["crontab", "-r"]
    # A test that failed before it wrote anything leaves none: crontab -r says so, and ends with 1.
    subprocess.run(back, input=before.stdout, text=True, check=there_was_one)


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
