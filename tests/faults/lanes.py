"""One coordinator, one bad line, and two clients behind it, for one schedule after the other."""

from __future__ import annotations

import random
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import flnb
from flnb.core.errors import InsufficientClientsError
from flnb.core.view import Status
from flnb.transport.invite import Invite
from tests.e2e.remote_client import plan, task
from tests.faults.proxy import Proxy, Schedule

NAMES = ("c000", "c001")
DELAY_S = "0.1"
"""What each training takes longer, so that faults meet every part of a round."""
SCRIPT = Path(__file__).parent / "clients.py"
HANG_S = 135.0
"""After the last fault, a run must be over by then: nothing may take longer than a dead connection
takes to be found out (105 s) and a client to come back (30 s)."""
PERMANENT_DEADLINE_S, PERMANENT_S = 4.0, 12.0
"""Deadline of a round where a fault stays, and when such a run must have come to its end."""


@dataclass
class Lane:
    """A coordinator that stays, with clients that reach it over a proxy."""

    coordinator: flnb.Coordinator
    proxy: Proxy
    model: str
    rounds: int
    logs: Path
    expected: str

    def suffer(self, schedule: Schedule) -> str:
        """Run a federation while a schedule's faults happen: what is wrong with it, in words."""
        wanted = plan(rounds=self.rounds)
        if schedule.permanent:
            wanted = wanted.replace(deadline_s=PERMANENT_DEADLINE_S)
        name = f"seed-{schedule.seed}"
        run = self.coordinator.run(wanted, task(self.model, 2), name=name)
        began_s = time.monotonic()
        self.proxy.play(schedule.faults, random.Random(schedule.seed))
        try:
            reason = self._end(run, schedule)
        finally:
            self.proxy.heal()
        seconds = f" after {time.monotonic() - began_s:.1f} s"
        return "" if not reason else f"{reason}{seconds}; {schedule.faults}\n{self._said()}"

    def _end(self, run: flnb.Run, schedule: Schedule) -> str:
        limit_s = PERMANENT_S if schedule.permanent else schedule.ends_s + HANG_S
        try:
            run.wait(limit_s)
        except InsufficientClientsError as error:
            run.stop()
            return "" if schedule.permanent and "late" in str(error) else f"lost: {error}"
        except TimeoutError:
            waits = self._waits_for_clients(run)
            run.stop()
            return "" if schedule.permanent and waits else f"it hangs in round {run.view.round}"
        if run.status is not Status.FINISHED:
            return f"it is {run.status}"
        if run.parameters_sha256 != self.expected:
            return "other parameters"
        self.coordinator.flush()
        return miscounted(self.coordinator.lab, run, self.rounds)

    def _waits_for_clients(self, run: flnb.Run) -> bool:
        """Whether it says that the next round waits for clients; that it may do for ever."""
        view = run.view
        return view.status is Status.WAITING and (view.awaited, view.here) == (len(NAMES), 0)

    def _said(self) -> str:
        logs = (path.read_text().splitlines()[-12:] for path in sorted(self.logs.glob("*.log")))
        return "\n".join(line for lines in logs for line in lines)


@contextmanager
def lane(nursery, folder: Path, model: str, expected: str, *, tls: bool, rounds: int):
    """A lane in a folder, with its clients on their way."""
    folder.mkdir()
    with flnb.Coordinator(folder / "lab") as coordinator:
        coordinator.listen(tls=tls)
        port = int(coordinator.address.rpartition(":")[2])
        proxy = Proxy(port, only_bulk=not tls)
        invites = [through(proxy, coordinator.invite(name).text) for name in NAMES]
        arguments = (str(SCRIPT), folder, model, str(len(NAMES)), DELAY_S)
        host = nursery.begin("script", *arguments, *invites)
        try:
            yield Lane(coordinator, proxy, model, rounds, folder, expected)
        finally:
            host.kill()
            proxy.close()


def miscounted(lab: flnb.Lab, run: flnb.Run, rounds: int) -> str:
    """Whether a row is missing in the tables, or there twice."""
    pairs = sorted((number, name) for number in range(1, rounds + 1) for name in NAMES)
    for table in ("assignments", "updates"):
        query = f"SELECT round, client FROM {table} WHERE run = '{run.name}' ORDER BY ALL"
        found = [(row["round"], row["client"]) for row in lab.sql(query)]
        if found != pairs:
            return f"{table}: {found}"
    return ""


def through(proxy: Proxy, text: str) -> str:
    """The same invite, over a proxy."""
    return replace(Invite.parse(text), address=f"127.0.0.1:{proxy.port}").text


def simulated_sha(folder: Path, model: str, rounds: int) -> str:
    """What the same plan gives with simulated clients, one after the other."""
    with flnb.Coordinator(folder) as coordinator:
        coordinator.simulate(task(model, len(NAMES)), workers=0)
        wanted = plan(rounds=rounds)
        return coordinator.run(wanted, task(model, len(NAMES))).wait(60).parameters_sha256
