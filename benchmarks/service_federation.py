"""A federation that goes on behind a service, for whoever measures the service."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import flnb
from benchmarks.pages_task import digits
from flnb.coordinator.control.connection import Connection
from flnb.transport import Pass

_ROUNDS, _CLIENTS, _INVITED = 100_000, 50, 10
_ROOT = Path(__file__).parent.parent
"""Where the coordinator finds the task."""


@dataclass(frozen=True, slots=True)
class Federation:
    """Where a running federation is reached."""

    url: str
    """Of the service."""
    token: str
    """Of an operator."""
    run: str
    lab: Path


@contextlib.contextmanager
def federation(
    epochs: int, *, pause_s: float = 0.0, commit_every: int = _ROUNDS
) -> Iterator[Federation]:
    """Run `flnb coordinator serve` with a federation, as long as a with-block lasts.

    Args:
        epochs: Of each of ten clients in a round; a hundred take about half a second of a core.
        pause_s: How much longer a round takes, without processor; one epoch of a client is one step.
        commit_every: Rounds from one commit to the next. There are none to begin with: a closing is
            told when it is durable, and waits for its commit.
    """
    with tempfile.TemporaryDirectory() as folder:
        lab = Path(folder) / "lab"
        flnb_itself = str(Path(sys.executable).parent / "flnb")
        command = [flnb_itself, "coordinator", "serve", str(lab), "--json"]
        with subprocess.Popen(
            [*command, "--port", "0", "--http-port", "0"],
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"FLNB_PROGRESS": "off", "PYTHONPATH": str(_ROOT)},
        ) as process:
            assert process.stdout is not None, "it was made with a pipe"
            try:
                url = json.loads(process.stdout.readline())["http"]
                with flnb.connect(str(lab)) as coordinator:
                    local = flnb.Local(epochs=epochs, batch_size=32, lr=0.1)
                    strategy = flnb.FedAvg(local=local)
                    plan = flnb.Plan(
                        strategy=strategy,
                        rounds=_ROUNDS,
                        invite=_INVITED,
                        seed=1,
                        commit_every=commit_every,
                    )
                    yield Federation(url, _begun(coordinator, plan, pause_s), "busy", lab)
                    coordinator.attach("busy").stop().wait(30)
            finally:
                process.terminate()


def _begun(coordinator: Connection, plan: flnb.Plan, pause_s: float) -> str:
    task = digits(_CLIENTS, pause_s / _INVITED)
    coordinator.simulate(task, workers=1)
    coordinator.run(plan, task, name="busy")
    return Pass.parse(coordinator.token("bench", role="operator").text).token
