"""`flnb run` and `flnb check`: a run file, carried out or looked over."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flnb.cli import output
from flnb.cli.output import AsJson, LabPath

if TYPE_CHECKING:
    from flnb.cli.runfile import RunFile, TaskChoice
    from flnb.coordinator import Lab
    from flnb.tasks import Task

PlanFile = Annotated[Path, typer.Argument(metavar="PLAN.YAML", help="The run file.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="A.B=V", help="Change a setting of the file; repeat for more."),
]


def run(
    file: PlanFile,
    lab: LabPath = output.DEFAULT_LAB,
    changes: Overrides = None,
    start: Annotated[
        str | None,
        typer.Option("--from", metavar="FILE|RUN@CKPT", help="A model to start from."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run a plan over simulated clients; ^C pauses it, saved."""
    from flnb.cli import addresses, driving, labs, runfile

    wanted = runfile.read(file, changes or [])
    opened = labs.opened(lab)
    _check(opened, wanted, start)
    output.starting(wanted.simulate.workers)
    from flnb.coordinator import Coordinator

    task, simulate = _task(wanted.task), wanted.simulate
    with Coordinator(opened) as coordinator:
        coordinator.simulate(
            task,
            simulate.clients,
            slow=simulate.slow,
            drop=simulate.drop,
            workers=simulate.workers,
        )
        run = coordinator.run(wanted.plan, task, name=wanted.name, start=start)
        view = driving.drive(run, lab)
        sha256 = run.parameters_sha256
    if as_json:
        output.data({**output.facts(view), "parameters_sha256": sha256})
    else:
        look = f"{output.program()} runs show {view.name}{addresses.options(lab)}"
        typer.echo(f"{view.name} finished; look at it: {look}")


def check(file: PlanFile, changes: Overrides = None, as_json: AsJson = False) -> None:
    """Say what a plan costs and what looks wrong.

    Nothing is run and nothing is written.
    """
    from flnb.cli import runfile
    from flnb.core.errors import PlanError

    wanted = runfile.read(file, changes or [])
    found = wanted.plan.check(_task(wanted.task))
    if as_json:
        output.data({"ok": found.ok, "findings": [asdict(finding) for finding in found.findings]})
    else:
        typer.echo(repr(found))
    if not found.ok:
        raise typer.Exit(PlanError.exit_code)


def _check(lab: Lab, wanted: RunFile, start: str | None) -> None:
    """Say what is wrong before it takes a while."""
    from flnb.coordinator.history.starting import located
    from flnb.coordinator.jobs import check_name

    if wanted.name is not None:
        check_name(lab.store, wanted.name)
    if start is not None:
        located(lab, start)


def _task(choice: TaskChoice) -> Task:
    from flnb.tasks import resolve

    return resolve(choice.use, **choice.with_)
