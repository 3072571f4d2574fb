"""A study that is executed again and again: a user timer of systemd, or a line for cron.

Nothing of flnb stays in memory for it: the machine's own scheduler calls `flnb study run`, which goes
on where it was.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from flnb.core.errors import PlanError, StoreError

_DAYS = ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
_NAMES = ("minute", "hour", "day", "month", "day of the week")
_PART = re.compile(r"(\*|\d+(?:-\d+)?)(?:/(\d+))?")
_ODD = re.compile(r"[^A-Za-z0-9_.-]+")
"""What the name of a unit of systemd cannot have, or has a meaning in it."""
_KEPT = ("DATABASE_URL", "FLNB_DATA_DIR", "FLNB_CACHE_DIR", "AWS_PROFILE", "AWS_ENDPOINT_URL")
"""Variables that a timer needs as well; secrets are not among them, and must come from files."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """What will be written.

    Args:
        name: Of the timer, and in the mark of the line.
        files: Path to text, of a timer of systemd; empty for cron.
        line: For cron; empty for systemd.
        log: Where what the study says is kept; None where that is the journal of systemd.
    """

    name: str
    files: Mapping[Path, str]
    line: str
    log: Path | None = None

    @classmethod
    def of(
        cls, study: Path, lab: Path, at: str, *, workers: int | None = None, cron: bool = False
    ) -> Schedule:
        """Plan a schedule.

        Args:
            study: The study file.
            lab: Where it is executed.
            at: When, as five fields of cron: minute, hour, day, month, day of the week.
            workers: Cells at a time; by default what the file says.
            cron: A line for cron, also where systemd is there.

        Raises:
            PlanError: `at` is no time, or one that systemd cannot say.
        """
        fields = _fields(at)
        command = _command(study, lab, workers)
        name = _name(study, command)
        if cron or not _has_systemd():
            log = _log(name)
            line = f"{' '.join(fields)} {_line(command, log)} # {name}"
            return cls(name, {}, line, log)
        return cls(name, _units(name, command, study, on_calendar(fields)), "")

    @property
    def told(self) -> str:
        """What will be written where, in full."""
        if self.line:
            return f"a line for cron (crontab -l shows them):\n{self.line}"
        texts = (f"{path}:\n{text}" for path, text in self.files.items())
        return "a user timer of systemd:\n" + "\n".join(texts)

    def write(self) -> str:
        """Write and begin it; one of the same name is replaced.

        Returns:
            How it is looked at and taken away.

        Raises:
            StoreError: The scheduler refuses, or is not there.
        """
        if self.line:
            return self._write_cron()
        for path, text in self.files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            path.chmod(0o600)
        _call(["systemctl", "--user", "daemon-reload"])
        _call(["systemctl", "--user", "enable", "--now", f"{self.name}.timer"])
        return (
            f"systemctl --user list-timers {self.name}.timer shows when; "
            f"systemctl --user disable --now {self.name}.timer ends it. "
            f"journalctl --user --unit {self.name} shows what it said. "
            "It runs while you are signed in; loginctl enable-linger lets it run always"
        )

    def _write_cron(self) -> str:
        if shutil.which("crontab") is None:
            raise StoreError(
                "neither systemd nor cron is here",
                hint="give the line to whatever starts programs on this machine",
            )
        known = _called(["crontab", "-l"])
        if known.returncode and "no crontab" not in known.stderr:
            # What cannot be read must not be taken for empty: it would be written over.
            raise StoreError(f"crontab -l refuses: {known.stderr.strip()}")
        if self.log is not None:
            self.log.parent.mkdir(parents=True, exist_ok=True)  # a shell makes no folder for `>>`
        others = [one for one in known.stdout.splitlines() if not one.endswith(f"# {self.name}")]
        _call(["crontab", "-"], "\n".join([*others, self.line]) + "\n")
        return (
            f"crontab -l shows it; crontab -e, without the line of {self.name}, ends it. "
            f"{self.log} holds what it said"
        )


def on_calendar(fields: tuple[str, ...]) -> str:
    """Five fields of cron as systemd writes a time.

    Raises:
        PlanError: Both the day of the month and that of the week are given: cron means one or the
            other, and systemd both.

    Examples:
        >>> on_calendar(("0", "2", "*", "*", "1-5"))
        'Mon,Tue,Wed,Thu,Fri *-*-* 2:0:00'
        >>> on_calendar(("*/15", "*", "1", "*", "*"))
        '*-*-1 *:0/15:00'
    """
    minute, hour, day, month, week = fields
    if day != "*" and week != "*":
        raise PlanError(
            "a day of the month and one of the week: cron means either, systemd both",
            hint="give one of them, or --cron",
        )
    days = "" if week == "*" else ",".join(_weekday(part) for part in week.split(",")) + " "
    date = f"*-{_span(month, 1)}-{_span(day, 1)}"
    return f"{days}{date} {_span(hour, 0)}:{_span(minute, 0)}:00"


def _fields(at: str) -> tuple[str, ...]:
    fields = tuple(at.split())
    if len(fields) != len(_NAMES):
        raise PlanError(
            f"{at!r} has {len(fields)} fields, and a time has five",
            hint='minute, hour, day, month, day of the week: "0 2 * * *" is each night at two',
        )
    for name, (low, high), field in zip(_NAMES, _RANGES, fields, strict=True):
        for part in field.split(","):
            found = _PART.fullmatch(part)
            numbers = [int(one) for one in re.findall(r"\d+", found[1])] if found else [-1]
            if any(not low <= number <= high for number in numbers):
                raise PlanError(f"{part!r} is no {name}", hint=f"{low} to {high}, *, 1-5 or */15")
    return fields


def _weekday(part: str) -> str:
    if "/" in part:
        raise PlanError(f"systemd knows no steps of days of the week: {part}", hint="--cron")
    if part == "*":
        return "*"
    first, _, last = part.partition("-")
    # In words, one by one: weeks of systemd begin on Monday, and Sun..Wed is none.
    return ",".join(_DAYS[int(first) : int(last or first) + 1])


def _span(field: str, first: int) -> str:
    """`1-5` is `1..5`, `*/15` is `0/15`."""
    found = []
    for part in field.split(","):
        base, _, step = part.partition("/")
        base = str(first) if base == "*" and step else base.replace("-", "..")
        found.append(f"{base}/{step}" if step else base)
    return ",".join(found)


def _command(study: Path, lab: Path, workers: int | None) -> list[str]:
    text = str(lab)  # a path folds the slashes of s3://
    place = f"s3://{text.removeprefix('s3:/')}" if text.startswith("s3:/") else str(lab.absolute())
    program = str(Path(sys.executable).with_name("flnb"))
    command = [program, "study", "run", str(study.absolute()), "--lab", place]
    return [*command, *(["--workers", str(workers)] if workers is not None else [])]


def _name(study: Path, command: list[str]) -> str:
    """Of a schedule, such as `flnb-fedavg-1f0c9a`: a study of the same name in another lab has its own."""
    told = "\0".join(command[3:6])  # the study file, and the lab
    return f"flnb-{_ODD.sub('-', study.stem)}-{hashlib.sha256(told.encode()).hexdigest()[:6]}"


def _log(name: str) -> Path:
    home = Path(os.environ.get("XDG_STATE_HOME") or "~/.local/state").expanduser()
    return home / "flnb" / f"{name}.log"


def _line(command: list[str], log: Path) -> str:
    """A command for cron: in this folder, and with a log, for where no mail is set up it is lost."""
    words = shlex.join(["env", *_given(), *command])
    folder, kept = shlex.quote(str(Path.cwd())), shlex.quote(str(log))
    # To cron a bare % is the end of a command, also between quotes.
    return f"{{ cd {folder} && {words}; }} >>{kept} 2>&1".replace("%", r"\%")


def _units(name: str, command: list[str], study: Path, when: str) -> dict[Path, str]:
    home = Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser() / "systemd/user"
    title = f"flnb study {study.stem}".replace("%", "%%")
    # By env: systemd takes no program whose path has a quote in it.
    words = " ".join(_quoted(one).replace("$", "$$") for one in ["/usr/bin/env", *command])
    service = [
        "[Unit]",
        f"Description={title}",
        "[Service]",
        "Type=oneshot",
        f"WorkingDirectory={str(Path.cwd()).replace('%', '%%')}",  # without quotes, also of spaces
        *[f"Environment={_quoted(one)}" for one in _given()],
        f"ExecStart={words}",
        "KillSignal=SIGINT",
        "KillMode=mixed",  # the runner alone: it says to its kernels what is to be done
        "TimeoutStopSec=90",
    ]
    timer = [
        "[Unit]",
        f"Description={title}",
        "[Timer]",
        f"OnCalendar={when}",
        "Persistent=true",
        "[Install]",
        "WantedBy=timers.target",
    ]
    return {
        home / f"{name}.service": "\n".join(service) + "\n",
        home / f"{name}.timer": "\n".join(timer) + "\n",
    }


def _quoted(word: str) -> str:
    r"""A word as systemd reads it: not as a shell does, backslashes count between any quotes.

    Examples:
        >>> print(_quoted(r'/data/50% "mine"'))
        "/data/50%% \"mine\""
    """
    backslashed = re.sub(r'(["\\])', r"\\\1", word)
    return f'"{backslashed}"'.replace("%", "%%")


def _given() -> list[str]:
    """Variables of this process that the study needs as well, as `NAME=value`.

    Raises:
        PlanError: One holds a password.
    """
    found = {name: os.environ[name] for name in _KEPT if name in os.environ}
    for name, value in found.items():
        if "://" in value and urllib.parse.urlsplit(value).password:
            raise PlanError(
                f"{name} holds a password, which a schedule would keep where others may read it",
                hint="put it into ~/.pgpass, which only you may read, and take it out of the address",
            )
    return [f"{name}={value}" for name, value in found.items()]


def _has_systemd() -> bool:
    """Whether systemd looks after this user: it is not enough that its programs are there."""
    if shutil.which("systemctl") is None:
        return False
    return _called(["systemctl", "--user", "show-environment"]).returncode == 0


def _call(command: list[str], given: str | None = None) -> None:
    done = _called(command, given)
    if done.returncode:
        raise StoreError(f"{shlex.join(command)} refuses: {done.stderr.strip()}")


def _called(command: list[str], given: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, input=given, capture_output=True, text=True, check=False)  # noqa: S603  # the machine's scheduler
