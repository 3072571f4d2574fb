"""`flnb report`: a run as one HTML file that opens anywhere, offline."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flnb.cli import labs, output
from flnb.cli.output import AsJson, At, LabPath, RunName


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
    size = written.stat().st_size
    if as_json:
        output.data({**facts, "report": str(written), "bytes": size})
    else:
        from flnb.core import glance

        output.say(f"wrote {written}, {glance.size(size)}")
