"""`flnb study …`: a notebook executed with many settings: run, look, retry, schedule."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flnb.cli import labs, output
from flnb.cli.output import AsJson, LabPath

if TYPE_CHECKING:
    from flnb.coordinator import Lab
    from flnb.experiments import Study

app = typer.Typer(
    no_args_is_help=True,
    help="A notebook executed with many settings: run, look, retry, schedule.",
    epilog="Example: flnb study run experiments/fedavg.yaml --workers 2",
)
StudyName = Annotated[
    str, typer.Argument(metavar="STUDY", help="A study file (study.yaml), or the name of a study.")
]
Workers = Annotated[
    int | None, typer.Option("--workers", min=1, help="Cells at a time, each in its own kernel.")
]
Timeout = Annotated[
    float | None, typer.Option("--timeout", metavar="SECONDS", help="Longest time of a cell.")
]
_YAML = {".yaml", ".yml"}


@app.command(epilog="Example: flnb study run experiments/fedavg.yaml --workers 2")
def run(
    study: StudyName,
    workers: Workers = None,
    timeout: Timeout = None,
    retry: Annotated[bool, typer.Option("--retry", help="Failed cells again, too.")] = False,
    keep: Annotated[
        bool, typer.Option("--keep", help="The recipe changed: finished cells count, marked.")
    ] = False,
    beside: Annotated[
        bool, typer.Option("--beside", help="The recipe changed: execute all cells anew.")
    ] = False,
    lab: LabPath = output.DEFAULT_LAB,
    as_json: AsJson = False,
) -> None:
    """Execute what is not finished; called again after anything, it goes on where it was.

    ^C lets what runs finish and begins nothing new; a second one interrupts the kernels.
    """
    from flnb.core.errors import PlanError

    if keep and beside:
        raise PlanError("--keep and --beside say the opposite of each other", hint="give one")
    found = asked_for(study, labs.opened(lab))
    changed = "keep" if keep else "beside" if beside else ""
    found.run(workers, timeout, retry=retry, changed=changed)
    _tell(found, as_json=as_json)


@app.command(epilog="Example: flnb study retry fedavg")
def retry(
    study: StudyName,
    workers: Workers = None,
    timeout: Timeout = None,
    lab: LabPath = output.DEFAULT_LAB,
    as_json: AsJson = False,
) -> None:
    """Execute failed cells and those that ran out of time again, and what is left."""
    found = asked_for(study, labs.opened(lab))
    _tell(found.retry(workers, timeout), as_json=as_json)


@app.command(epilog="Example: flnb study status fedavg --json")
def status(
    study: Annotated[
        str | None, typer.Argument(metavar="STUDY", help="Its file or its name; all by default.")
    ] = None,
    lab: LabPath = output.DEFAULT_LAB,
    as_json: AsJson = False,
) -> None:
    """Say how a study stands: its cells, what became of them, and why."""
    there = labs.existing(lab)
    if study is not None:
        _show(asked_for(study, there), as_json=as_json)
        return
    views = [one.status for one in there.studies]
    if as_json:
        output.data([facts(view) for view in views])
    else:
        rows = [(view.name, f"{view.over}/{view.total}", view.words, view.note) for view in views]
        output.table(("study", "cells", "so far", ""), rows, left=4)


@app.command(epilog='Example: flnb study schedule experiments/fedavg.yaml --at "0 2 * * *"')
def schedule(
    study: Annotated[Path, typer.Argument(metavar="FILE", help="The study file.")],
    at: Annotated[str, typer.Option("--at", metavar="CRON", help='Such as "0 2 * * *".')],
    workers: Workers = None,
    cron: Annotated[
        bool, typer.Option("--cron", help="A line for cron, also where systemd is there.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    lab: LabPath = output.DEFAULT_LAB,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show it, write nothing.")] = False,
) -> None:
    """Execute a study again and again: a timer of systemd where there is one, else a line for cron."""
    from flnb.experiments.opening import study_from
    from flnb.experiments.schedule import Schedule

    study_from(labs.opened(lab), study)  # what cannot be executed is refused now, and not at night
    planned = Schedule.of(study, lab, at, workers=workers, cron=cron)
    output.say(planned.told)
    if dry_run:
        return
    if not yes and not typer.confirm("write it?", err=True):
        raise typer.Abort
    output.say(planned.write())


def asked_for(study: str, lab: Lab) -> Study:
    """The study of a file, or the one of that name that was executed before."""
    path = Path(study)
    if path.suffix in _YAML or path.is_file():
        from flnb.experiments.opening import study_from

        return study_from(lab, path)
    found: Study = lab.study(study)
    return found


def _tell(study: Study, *, as_json: bool) -> None:
    """What became of a study that was executed; the exit code says it as well."""
    _show(study, as_json=as_json)
    if study.interrupted:
        raise typer.Exit(output.INTERRUPTED)
    if study.status.unfinished:
        raise typer.Exit(output.FAILED)


def _show(study: Study, *, as_json: bool) -> None:
    if as_json:
        output.data(facts(study.status) | {"rows": study.df().to_dict("records")})
        return
    heads = ("cell", "outcome", "run", "seconds", "why")
    output.table(heads, study.lines(), left=3)
    output.say(study.status.line)


def facts(view: Any) -> dict[str, object]:
    """A study as the JSON object that its commands show."""
    counts = {str(outcome): count for outcome, count in view.counts.items()}
    return {"study": view.name, "cells": view.total, "outcomes": counts, "note": view.note}
