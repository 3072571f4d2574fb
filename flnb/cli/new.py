"""`flnb new`: a small lab to begin with."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer

from flnb.cli import output
from flnb.cli.output import AsJson

_BEGIN = (
    ("jupyter lab first.ipynb", "one federation, cell by cell"),
    ("flnb run plan.yaml", "the same kind of run, in the terminal"),
    ("flnb study run study.yaml", "first.ipynb once for each setting"),
    ("pytest", "all of this still works, with two rounds each"),
)
"""What can be done with a new lab, in the words of its README.md."""


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
    output.say(f"made {folder}, to begin with any of these:")
    if shutil.which("flnb") is None and (script := Path(sys.prefix, "bin", "activate")).is_file():
        # What is typed below is looked for by a shell, which has not found this program either.
        output.say(f"  source {shlex.quote(str(script))}")
    output.say(f"  cd {shlex.quote(str(folder))}")
    for command, what in _BEGIN:
        output.say(f"  {command:<26} # {what}")
