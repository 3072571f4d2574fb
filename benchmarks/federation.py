"""A coordinator's process and processes of clients, as the benchmarks of remote clients use them."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.processes import Process


@dataclass(frozen=True, slots=True)
class Federation:
    """Everybody is connected."""

    model: str
    address: str
    """Of the coordinator."""
    names: tuple[str, ...]
    service: Process
    crowds: tuple[Process, ...]

    def start(self, how: str, **plan: Any) -> float:
        """Start a run that invites everybody; returns when it was asked for (monotonic)."""
        settings = {"invite": len(self.names), **plan}
        n = len(self.names)
        return float(
            self.service.ask(do="start", model=self.model, how=how, clients=n, plan=settings)[
                "asked_s"
            ]
        )

    def run(self, how: str, **plan: Any) -> dict[str, Any]:
        """Run a plan that invites everybody to its end.

        Returns:
            `seconds` of each round after the first two, and `sha256` of the parameters.
        """
        self.start(how, **plan)
        return self.service.ask(do="wait")

    def transfers(self) -> list[dict[str, Any]]:
        """What the clients have told of their transfers since they were asked last.

        Returns:
            For each its `kind` (`upload` or `download`), `n_bytes`, how long it took (`seconds`),
            and when it ended on the machine's own clock (`ended_s`).
        """
        told: list[dict[str, Any]] = []
        for crowd in self.crowds:
            crowd.say(tell="all")
            while (heard := crowd.hear())["kind"] != "told":
                told.append(heard)
        return told


@contextlib.contextmanager
def federation(
    model: str, clients: int, processes: int, delays: Mapping[str, float] = {}
) -> Iterator[Federation]:
    """Start a coordinator's process and clients; everything is gone at the end of the block.

    Args:
        model: Name of the model.
        clients: How many clients.
        processes: How many processes they share.
        delays: Seconds that a client waits before it trains, by name.
    """
    with tempfile.TemporaryDirectory(prefix="flnb-bench-") as folder, contextlib.ExitStack() as up:
        service = up.enter_context(Process("benchmarks.service", f"{folder}/lab"))
        address = service.hear()["address"]
        names = tuple(f"c{number:03d}" for number in range(clients))
        invites = service.ask(do="invite", clients=names)["invites"]
        crowds = []
        for part in (names[first::processes] for first in range(processes)):
            arguments = (model, str(clients), str(Path(folder) / "homes"))
            crowd = up.enter_context(Process("benchmarks.crowd", *arguments))
            own = {name: invites[name] for name in part}
            crowd.say(invites=own, delays={name: delays.get(name, 0.0) for name in part})
            crowds.append(crowd)
        for crowd in crowds:
            while crowd.hear()["kind"] != "here":
                pass
        yield Federation(model, address, names, service, tuple(crowds))
