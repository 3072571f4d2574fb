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
from flnb.experiments.times import fields_of, on_calendar

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
        former: What it was called while the name of the study file was all of the name.
    """

    name: str
    files: Mapping[Path, str]
    line: str
    log: Path | None = None
    former: str = ""

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
        fields = fields_of(at)
        command = _command(study, lab, workers)
        name, former = _name(command), f"flnb-{study.stem}"
        if cron or not _has_systemd():
            log = _log(name)
            line = f"{' '.join(fields)} {_line(command, log)} # {name}"
            return cls(name, {}, line, log, former)
        units = _units(name, command, study, on_calendar(fields))
        return cls(name, units, "", former=former)

    @property
    def told(self) -> str:
        """What will be written where, in full."""
        if self.line:
            return f"a line for cron (crontab -l shows them):\n{self.line}"
        texts = (f"{path}:\n{text}" for path, text in self.files.items())
        return "a user timer of systemd:\n" + "\n".join(texts)

    def write(self) -> str:
        """Write and begin it; one of the same study and lab is replaced.

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
        self._end_former()
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
        others = [one for one in known.stdout.splitlines() if not self._is_mine(one)]
        _call(["crontab", "-"], "\n".join([*others, self.line]) + "\n")
        return (
            f"crontab -l shows it; crontab -e, without the line of {self.name}, ends it. "
            f"{self.log} holds what it said"
        )

    def _is_mine(self, line: str) -> bool:
        command, _, mark = line.rpartition(" # ")
        former = mark == self.former and self._is_called(command.replace(r"\%", "%"))
        return former or mark == self.name

    def _end_former(self) -> None:
        service = _units_home() / f"{self.former}.service"
        if not service.is_file():
            return
        text = service.read_text(encoding="utf-8").replace("%%", "%")
        if any(map(self._is_called, re.findall(r"^ExecStart=(.*)", text, re.MULTILINE))):
            timer = service.with_suffix(".timer")
            if timer.is_file():  # else somebody has ended it by hand
                _call(["systemctl", "--user", "disable", "--now", timer.name])
                timer.unlink()
            service.unlink()

    def _is_called(self, command: str) -> bool:
        """Whether a command executes the same study in the same lab."""
        try:
            words = shlex.split(command)
            program = words.index("--lab", 4, -1) - 4
        except ValueError:  # a quote that does not end, or no lab
            return False
        return _name(words[program:]) == self.name


def _command(study: Path, lab: Path, workers: int | None) -> list[str]:
    text = str(lab)  # a path folds the slashes of s3://
    place = f"s3://{text.removeprefix('s3:/')}" if text.startswith("s3:/") else str(lab.absolute())
    program = str(Path(sys.executable).with_name("flnb"))
    command = [program, "study", "run", str(study.absolute()), "--lab", place]
    return [*command, *(["--workers", str(workers)] if workers is not None else [])]


def _name(command: list[str]) -> str:
    """Of a schedule, such as `flnb-fedavg-1f0c9a`: a study of the same name in another lab has its own.

    Paths are followed to their end: the same file by another spelling is the same study.
    """
    study, lab = Path(command[3]), command[5]
    place = lab if lab.startswith("s3://") else Path(lab).resolve()
    told = f"{study.resolve()}\0{place}"
    return f"flnb-{_ODD.sub('-', study.stem)}-{hashlib.sha256(told.encode()).hexdigest()[:6]}"


def _log(name: str) -> Path:
    home = Path(os.environ.get("XDG_STATE_HOME") or "~/.local/state").expanduser()
    return home / "flnb" / f"{name}.log"


def _line(command: list[str], log: Path) -> str:
    """A command for cron: in this folder, and with a log, for where no mail is set up it is lost."""
    given = [f"{name}={shlex.quote(value)}" for name, value in _given().items()]
    words = " ".join([*given, shlex.join(command)])
    folder, kept, home = (shlex.quote(str(one)) for one in (Path.cwd(), log, log.parent))
    # A shell makes no folder for `>>`. To cron a bare % is the end of a command, also between quotes.
    line = f"mkdir -p {home} && {{ cd {folder} && {words}; }} >>{kept} 2>&1"
    return line.replace("%", r"\%")


def _units_home() -> Path:
    home = Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser()
    return home / "systemd/user"


def _units(name: str, command: list[str], study: Path, when: str) -> dict[Path, str]:
    home = _units_home()
    title = f"flnb study {study.stem}".replace("%", "%%")
    # By a shell: systemd takes no program whose path has a quote in it, and `env` none with a `=`.
    by_shell = ["/bin/sh", "-c", 'exec "$0" "$@"', *command]
    words = " ".join(_quoted(one).replace("$", "$$") for one in by_shell)
    service = [
        "[Unit]",
        f"Description={title}",
        "[Service]",
        "Type=oneshot",
        f"WorkingDirectory={str(Path.cwd()).replace('%', '%%')}",  # without quotes, also of spaces
        *[f"Environment={_quoted(f'{one}={value}')}" for one, value in _given().items()],
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


def _given() -> dict[str, str]:
    """Variables of this process that the study needs as well.

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
    return found


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
