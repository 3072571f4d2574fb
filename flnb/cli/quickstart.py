"""`flnb quickstart`: federated averaging on handwritten digits, from nothing to a number."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from flnb.cli import output
from flnb.cli.output import AsJson, LabPath

CLIENTS = 20


def quickstart(
    lab: LabPath = output.DEFAULT_LAB,
    rounds: Annotated[int, typer.Option(min=1, help="How many rounds to run.")] = 30,
    seed: Annotated[int, typer.Option(help="Root of all randomness.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Train on handwritten digits over 20 clients, live.

    Needs no network and less than half a minute.
    """
    started = time.perf_counter()
    # Loading torch takes a while; a person should see before it that something happens.
    output.say(f"FedAvg on 1797 handwritten digits, {CLIENTS} clients, Dirichlet(0.3)")
    output.starting(None)
    from flnb.cli import addresses, driving, labs
    from flnb.coordinator import Coordinator
    from flnb.coordinator.start import quickstart_plan
    from flnb.datasets import Dirichlet
    from flnb.tasks import digits

    task = digits(model="mlp", split=Dirichlet(alpha=0.3, clients=CLIENTS, seed=seed))
    with Coordinator(labs.opened(lab)) as coordinator:
        coordinator.simulate(task)
        run = coordinator.run(quickstart_plan(rounds=rounds, seed=seed), task)
        view = driving.drive(run, lab)
        result = {
            "run": run.name,
            "lab": coordinator.lab.address,
            "rounds": view.round,
            "accuracy": view.rows[0].metrics["accuracy"],
            "seconds": round(time.perf_counter() - started, 3),
            "parameters_sha256": run.parameters_sha256,
        }
    if as_json:
        output.data(result)
    else:
        typer.echo(_farewell(result, lab, addresses.options(lab)))


def _farewell(result: dict[str, Any], lab: Path, option: str) -> str:
    flnb, python = output.program(), output.copyable(Path(sys.executable))
    query = "SELECT round, value FROM metrics WHERE metric='accuracy'"
    return f"""
Test accuracy {result["accuracy"]:.3f} after {result["rounds"]} rounds, {result["seconds"]:.1f} s in all.
The run is {result["run"]} and lies in {lab}

Try next:
  {flnb} ui {output.copyable(lab)}
  {flnb} runs show {result["run"]}{option}
  {flnb} sql "{query}"{option}
  {python} -c "import flnb; print(flnb.open({str(lab)!r}).runs())"
"""
