"""`flnb new`: a small lab to begin with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flnb.cli import output
from flnb.cli.output import AsJson


def new(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new folder.")],
    as_json: AsJson = False,
) -> None:
    """Make a small lab: a notebook, a plan, a study and a test, all of which run."""
    from flnb.experiments.new import make

    written = make(folder)
    if as_json:
        output.data({"folder": str(folder), "files": [path.name for path in written]})
        return
    output.say(f"made {folder}: {', '.join(path.name for path in written)}")
    output.say(f"→ cd {folder} && jupyter lab first.ipynb, or flnb study run study.yaml")
