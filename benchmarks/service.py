"""A coordinator as a service that starts the runs it is told: `python -m benchmarks.service LAB`.

It is what `flnb coordinator serve` is, and takes its orders from whoever measures.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from typing import Any

import flnb
from benchmarks.both_sides import plan_of, task_of
from benchmarks.driving import round_seconds
from benchmarks.processes import tell


class Service:
    """Obeys one order after the other.

    Args:
        coordinator: Listens.
    """

    def __init__(self, coordinator: flnb.Coordinator) -> None:
        self._coordinator = coordinator
        self._run: flnb.Run | None = None

    def invite(self, clients: list[str]) -> dict[str, Any]:
        """Let clients join."""
        return {"invites": {name: self._coordinator.invite(name).text for name in clients}}

    def here(self) -> dict[str, Any]:
        """Count who is connected."""
        return {"here": sum(row.state != "offline" for row in self._coordinator.clients)}

    def start(self, model: str, how: str, clients: int, plan: dict[str, Any]) -> dict[str, Any]:
        """Start a run; says when, on the machine's own clock."""
        task = task_of(model, clients)
        asked_s = time.monotonic()
        self._run = self._coordinator.run(plan_of(how, **plan), task)
        return {"asked_s": asked_s}

    def wait(self) -> dict[str, Any]:
        """Wait for the end of the run."""
        assert self._run is not None, "it was started"
        run = self._run.wait()
        return {"seconds": round_seconds(run), "sha256": run.parameters_sha256}

    def stop(self) -> dict[str, Any]:
        """Stop the run, however far it is."""
        assert self._run is not None, "it was started"
        self._run.stop().wait()
        return {}


def main() -> None:
    """Hold a lab, listen, and obey until there are no more orders."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # each session has a socket
    with flnb.Coordinator(sys.argv[1]) as coordinator:
        service = Service(coordinator)
        tell(address=coordinator.listen("127.0.0.1", 0))
        for line in sys.stdin:
            order = json.loads(line)
            tell(**getattr(service, order.pop("do"))(**order))


if __name__ == "__main__":
    main()
