"""`flnb report` and `flnb study report`: one HTML file that opens anywhere, offline."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flnb.cli import labs, output, study
from flnb.cli.output import AsJson, At, LabPath, RunName
from flnb.cli.study import StudyName


def report(
    run: RunName,
    to: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Where; by default RUN.html here."),
    ] = None,
    lab: LabPath = output.DEFAULT_LAB,
    at: At = None,
    clients: Annotated[
        bool, typer.Option(help="Name single clients, and say why the run was steered.")
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Write a run as one HTML file, which opens anywhere, offline."""
    with labs.reached(lab, at) as there:
        handle = there.run_of(run)
        written = handle.report(to or f"{handle.name.replace('/', '-')}.html", clients=clients)
        facts = output.facts(handle.view)
    _tell(written, facts, as_json=as_json)


def of_study(
    name: StudyName,
    to: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Where; by default STUDY.html here."),
    ] = None,
    lab: LabPath = output.DEFAULT_LAB,
    as_json: AsJson = False,
) -> None:
    """Write a study as one HTML file: its grid, curves, means with a paired test, costs."""
    found = study.asked_for(name, labs.existing(lab))
    written = found.report(to or found.asked.report or f"{found.name}.html")
    _tell(written, study.facts(found.status), as_json=as_json)


def _tell(written: Path, facts: dict[str, object], *, as_json: bool) -> None:
    size = written.stat().st_size
    if as_json:
        output.data({**facts, "report": str(written), "bytes": size})
    else:
        from flnb.core import glance

        output.say(f"wrote {written}, {glance.size(size)}")
