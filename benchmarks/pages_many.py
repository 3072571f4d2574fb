"""A lab with one large run that nobody trained, and a coordinator that holds it."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

import flnb
from benchmarks.written import new_run
from flnb.coordinator.rows import OpenRound
from flnb.core import Plan
from flnb.core.ids import ClientId
from flnb.core.messages import CohortReport, MetricSum, Outcome
from flnb.store import Closing, LabStore, RunRecord

CLIENTS, ROUNDS = 1000, 5000
_INVITED, _MODEL_BYTES = 10, 2600
_BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


def written(path: Path, rounds: int, clients: int) -> None:
    """Write a run of so many rounds, whose cohorts are drawn from so many clients."""
    task = flnb.tasks.digits(model="softmax", split=flnb.IID(clients=clients, seed=0))
    plan, store = Plan(rounds=rounds + 1, invite=_INVITED), LabStore.open(path)
    record = new_run(store, plan, task, "busy")
    names = [ClientId(f"c{index:04d}") for index in range(clients)]
    for number in range(1, rounds + 1):
        store.state.close_round(_closing(record, number, names))
    store.close()


def _closing(record: RunRecord, number: int, names: list[ClientId]) -> Closing:
    random = np.random.default_rng(number)
    cohort = tuple(names[row] for row in random.choice(len(names), _INVITED, replace=False))
    opened = OpenRound(number, 0, cohort, _BEGAN + timedelta(seconds=number))
    outcome = np.full(_INVITED, Outcome.ACCEPTED, np.uint8)
    outcome[0] = Outcome.LATE
    arrived_s, train_s, loss, norm = random.random((4, _INVITED))
    examples = np.full(_INVITED, 2, np.int64)
    reasons = {0: "did not answer in time"}
    rows = np.arange(_INVITED)
    opened.take(
        CohortReport(rows, outcome, examples, arrived_s, train_s, loss, norm, reasons=reasons)
    )
    central = {
        "accuracy": MetricSum(1 - 1 / (number + 1), 1.0),
        "loss": MetricSum(1 / number, 1.0),
    }
    closed_at = opened.opened_at + timedelta(seconds=0.9)
    return opened.closing(record, "all answered", closed_at, central, "examples", _MODEL_BYTES)


@contextlib.contextmanager
def served(lab: Path) -> Iterator[None]:
    """Run `flnb coordinator serve` for a lab, as long as a with-block lasts."""
    command = [str(Path(sys.executable).parent / "flnb"), "coordinator", "serve", str(lab)]
    with subprocess.Popen([*command, "--json", "--port", "0"], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None, "it was made with a pipe"
        try:
            json.loads(process.stdout.readline())
            yield
        finally:
            process.terminate()
