"""Processes that run the crash subject, are stopped at a failpoint, and are killed from outside."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from flnb.processes import Worker
from tests.interpreters import Interpreters

ROOT = Path(__file__).parent.parent.parent
PATIENCE_S = 60.0


class Victim:
    """A process of the subject, with everything that it started.

    Args:
        pid: Its process id.
        ended: Tells whether it has ended.
    """

    def __init__(self, pid: int, ended: Callable[[], bool]) -> None:
        self.pid, self.ended = pid, ended
        self._family: dict[int, psutil.Process] = {}

    def family(self) -> list[psutil.Process]:
        """Its fork servers and what was forked from them, also after a fork server has died."""
        try:
            children = psutil.Process(self.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            children = []
        self._family |= {child.pid: child for child in children}
        return list(self._family.values())

    def stopped(self) -> int:
        """Wait until it, or a process of it, has stopped at a failpoint; its process id."""
        found: list[int] = []

        def somebody_stopped() -> bool:
            assert not self.ended(), "it ended, and nothing had stopped"
            pids = [self.pid, *(process.pid for process in self.family())]
            found[:] = filter(_is_stopped, pids)
            return bool(found)

        await_(somebody_stopped, "nothing stopped")
        return found[0]

    def kill(self) -> None:
        """End it with SIGKILL, and see that nothing of it is left behind."""
        self.family()
        if not self.ended():
            os.kill(self.pid, signal.SIGKILL)
        self.wait()

    def go_on(self) -> None:
        """Let it run to its end, whoever of its processes stops on the way."""

        def ended() -> bool:
            for process in filter(lambda each: _is_stopped(each.pid), self.family()):
                process.resume()
            return self.ended()

        await_(ended, f"process {self.pid} did not end")
        self.wait()

    def wait(self) -> None:
        """Wait for its end, and for the end of all that it started."""
        await_(self.ended, f"process {self.pid} did not end")
        await_(lambda: not self._left(), "processes that outlived their coordinator")

    def _left(self) -> list[int]:
        # A fork server and all that it ever forks are one session.
        return [pid for pid in psutil.pids() if _session(pid) in self._family and not _is_dead(pid)]


class Nursery:
    """Gives birth to victims: forked from a process that has imported everything already.

    Each is a process like any other; only the seconds that torch takes are saved.

    Args:
        interpreters: Has imported everything.
    """

    def __init__(self, interpreters: Interpreters) -> None:
        self._log, self._server = interpreters.log, interpreters.server
        self._born: list[Worker] = []

    def begin(self, *arguments: str | Path, failpoint: str = "", log: Path | None = None) -> Victim:
        """Start a command of the subject."""
        worker = self._server.fork("tests.e2e.crash_subject:serve")
        self._born.append(worker)  # its channel stays open as long as we are interested
        environment = {"FLNB_FAILPOINT": failpoint, "FLNB_FAILPOINT_LOG": str(log or "")}
        worker.channel.send((environment, tuple(map(str, arguments))))
        return Victim(worker.pid, lambda: not worker.alive)

    def run(self, *arguments: str | Path, log: Path | None = None) -> None:
        """Run a command of the subject to its end."""
        victim = self.begin(*arguments, log=log)
        victim.wait()
        assert self._server.exit_code(victim.pid) == 0, self._log.read_text()[-4000:]

    def close(self) -> None:
        """End everybody."""
        for worker in self._born:
            worker.kill()
            worker.close()


@contextmanager
def python(*arguments: str | Path, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """Start an interpreter at the root of the project, as a person would."""
    with subprocess.Popen(
        [sys.executable, *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "FLNB_PROGRESS": "off", **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        yield process


def places(log: Path) -> Counter[str]:
    """Failpoints that were reached, and how often."""
    return Counter(log.read_text().split()) if log.exists() else Counter()


def await_(condition: Callable[[], bool], complaint: str) -> None:
    """Wait until something is so."""
    give_up = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < give_up, complaint
        time.sleep(0.04)


def outcome(lab: Path) -> dict[str, Any]:
    """What a lab holds at the end, without what a crash may change: clocks and names of commits."""
    found = json.loads(lab.with_suffix(".json").read_text())
    found["tables"] = {
        name: [_lasting(row) for row in rows] for name, rows in found["tables"].items()
    }
    return found


def differences(lab: Path, undisturbed: dict[str, Any], every: int | str = 1) -> list[str]:
    """What is not in a lab as in the lab of a run that nobody disturbed, in words."""
    found, expected = outcome(lab), undisturbed
    rounds = len(expected["history"])
    committed = {r for r in range(1, rounds + 1) if every == "auto" or r % every == 0}
    if every == "auto":  # which rounds are committed depends on how quick the machine is
        committed &= {int(r) for r in found["history"]} | {rounds}
    differing = [
        f"{part}: {found[part]}, not {expected[part]}"
        for part in ("parameters", "attempts", "journal")
        if found[part] != expected[part]
    ]
    history = {r: groups for r, groups in expected["history"].items() if int(r) in committed}
    if found["history"] != history:
        differing.append(f"history: {found['history']}, not {history}")
    for name, rows in expected["tables"].items():
        if name == "rounds":
            rows = [_committed(row, row["round"] in committed) for row in rows]
        there, wanted = _counted(found["tables"][name]), _counted(rows)
        differing += [f"{name} lost {row}" for row in wanted - there]
        differing += [f"{name} has one more {row}" for row in there - wanted]
    return differing


def _lasting(row: dict[str, Any]) -> dict[str, Any]:
    passing = {"snapshot", "id", "plan", "plan_hash"}
    return {
        name: value
        for name, value in row.items()
        if not name.endswith(("_s", "_at")) and name not in passing
    }


def _committed(row: dict[str, Any], committed: bool) -> dict[str, Any]:
    return row if committed else {**row, "parameters_sha256": None}


def _counted(rows: list[dict[str, Any]]) -> Counter[str]:
    return Counter(json.dumps(row) for row in rows)


def _is_stopped(pid: int) -> bool:
    return _status(pid) == psutil.STATUS_STOPPED


def _is_dead(pid: int) -> bool:
    return _status(pid) in {psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD}


def _status(pid: int) -> str:
    try:
        return psutil.Process(pid).status()
    except psutil.NoSuchProcess:
        return psutil.STATUS_DEAD


def _session(pid: int) -> int:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return 0
