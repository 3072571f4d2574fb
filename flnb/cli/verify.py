"""`flnb verify`: commits, digests and the operations log of a lab, offline."""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import Annotated

import typer

from flnb.cli import labs, output
from flnb.cli.output import AsJson, At, LabPath, NamedLab


def verify(
    named: NamedLab = None,
    lab: LabPath = output.DEFAULT_LAB,
    at: At = None,
    key: Annotated[
        str, typer.Option(metavar="HEX", help="The key that the log must be signed with.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Read every commit of a lab and check it against what was written down."""
    if key and not re.fullmatch("[0-9a-fA-F]{64}", key):
        raise typer.BadParameter("a key is 64 digits of 0-9 and a-f", param_hint="--key")
    with labs.reached(named or lab, at) as there:
        verdict = there.verify(key)
    if as_json:
        output.data(asdict(verdict))
    else:
        for problem in verdict.problems:
            typer.echo(f"✗ {problem}")
        found = f"{len(verdict.problems)} problems" if verdict.problems else "all as written"
        output.say(f"{verdict.commits} commits, {verdict.operations} operations: {found}")
        output.say(f"log signed with {verdict.key}" if verdict.key else "the log is not signed")
    if verdict.problems:
        raise typer.Exit(output.FAILED)
