"""What commands share about talking: data on stdout, talk on stderr, errors as two lines.

A program that reads stdout gets data and nothing else; whatever a person should know besides goes
to stderr. Colours are left to rich, which honours `NO_COLOR` and pipes.
"""

from __future__ import annotations

import csv
import json
import math
import os
import re
import shlex
import shutil
import sys
import traceback
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flnb.cli import addresses

if TYPE_CHECKING:
    from flnb.core.view import RunView

AsJson = Annotated[bool, typer.Option("--json", help="Write JSON to stdout and nothing else.")]
LabPath = Annotated[
    Path,
    typer.Option(
        "--lab",
        envvar="FLNB_LAB",
        metavar="LAB",
        help="Where the runs are kept: a folder, or s3://….",
    ),
]
NamedLab = Annotated[
    Path | None, typer.Argument(metavar="LAB", help="As --lab, which it overrides.")
]
"""For commands that are about a lab as a whole."""
At = Annotated[
    str | None,
    typer.Option("--at", metavar="PASS", help="Ask a coordinator elsewhere: a pass or its file."),
]
RunName = Annotated[str, typer.Argument(metavar="RUN", help="Name of the run.")]
DEFAULT_LAB = addresses.DEFAULT_LAB

OK, FAILED, INTERRUPTED = 0, 1, 130
_AS_COMMANDS = (
    (r"lab\.resume\('([^']+)'\)", r"flnb runs resume \1LAB"),
    (r"lab\.run\('([^']+)'\)", r"flnb runs show \1LAB"),
    (r"run\.(pause|resume|stop)\(\)", r"flnb runs \1 RUNLAB"),
    (r"run\.resume\((\w+)=(\[?…\]?)\)", r"flnb runs resume RUNLAB --set \1=\2"),
    (r"run\.rollback\(to=…\)", r"flnb run rollback RUNLAB --to …"),
    (r"run\.round\((\d+)\)\.why\(\)", r'flnb sql "SELECT * FROM events WHERE round=\1"LAB'),
    (r"run\.history\b", r"flnb ckpt list RUNLAB"),
    (r"run\.replay\(…, train=True\)", r"--train"),
    (r'\bolder_than="(\w+)"', r"--older-than \1"),
    (r"flnb\.connect\(address, token\), or FLNB_TOKEN", r"put it into FLNB_TOKEN"),
    (r"\b(rows)=…|\b(timeout)_s=…", r"--\1\2"),
)
"""What a hint says in Python, and what does the same in a terminal."""


def data(value: object) -> None:
    """Write a value to stdout as one JSON document; NaN becomes null, which JSON can say."""
    typer.echo(json.dumps(_plain(value), indent=2, default=str, ensure_ascii=False))


def line(value: object) -> None:
    """Write a value to stdout as one line of JSON, at once: for commands that go on for long."""
    typer.echo(json.dumps(_plain(value), default=str, ensure_ascii=False))
    sys.stdout.flush()


def facts(view: RunView) -> dict[str, object]:
    """A run as the JSON object that every command shows."""
    return {
        "run": view.name,
        "lab": view.lab,
        "branch": view.branch,
        "generation": view.generation,
        "status": str(view.status),
        "awaited": view.awaited,
        "here": view.here,
        "round": view.round,
        "rounds": view.rounds,
        "metrics": dict(view.rows[0].metrics) if view.rows else {},
        "bytes_up": view.bytes_up,
        "started_at": view.started_at.isoformat() if view.started_at else None,
        "error": view.error or None,
    }


def say(text: str = "") -> None:
    """Tell a person something, on stderr."""
    typer.echo(text, err=True)


def starting(workers: int | None) -> None:
    """Say that something happens before the first round can be seen.

    Args:
        workers: Processes that share the work; None is not known yet, 0 is this process.
    """
    who = {None: "worker processes import", 0: "this process imports", 1: "1 worker imports"}
    say(f"starting: {who.get(workers, f'{workers} workers import')} torch, a few seconds")


def program() -> str:
    """This program as it was called, for a command that somebody copies."""
    called = Path(sys.argv[0]).absolute()
    return copyable(called) if called.name == "flnb" and called.is_file() else "flnb"


def copyable(executable: Path) -> str:
    """The shortest word by which a shell here finds an executable."""
    if shutil.which(executable.name) == str(executable):
        return executable.name
    if not executable.is_relative_to(here := Path.cwd()):
        return shlex.quote(str(executable))
    # Without a slash a shell would look on PATH only.
    below = executable.relative_to(here)
    return shlex.quote(str(below) if len(below.parts) > 1 else f"./{below}")


def table(heads: Sequence[str], rows: Iterable[Sequence[object]], *, left: int = 1) -> None:
    """Write rows to stdout as aligned columns.

    Args:
        heads: Column heads.
        rows: Cells; numbers are shortened to what people read.
        left: How many leading columns are text and stand left.
    """
    from rich.console import Console
    from rich.table import Table

    grid = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for index, head in enumerate(heads):
        # Folding a column that was too wide keeps every character; cutting it off would not.
        grid.add_column(head, justify="left" if index < left else "right", overflow="fold")
    for row in rows:
        grid.add_row(*(_cell(value) for value in row))
    # A pipe has no width: columns are then as wide as their content.
    width = None if sys.stdout.isatty() else 10_000
    Console(file=sys.stdout, width=width, highlight=False, markup=False).print(grid)


def csv_rows(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write rows to stdout as CSV with a head."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(heads)
    writer.writerows(rows)


def fail(error: Exception) -> int:
    """Say what went wrong in two lines and return the exit code for it.

    The one place that turns errors into exit codes; an error that flnb did not raise on purpose is
    a 1 and says how to see more. Under `--debug` the whole traceback comes first.
    """
    from flnb.core.errors import FLBaseError

    if os.environ.get("FLNB_DEBUG"):
        say("".join(traceback.format_exception(error)).rstrip())
    if isinstance(error, FLBaseError):
        message, hint, code = error.message, as_commands(error.hint), error.exit_code
    else:
        message = f"{type(error).__name__}: {error}"
        hint, code = "this was not expected; `flnb --debug …` shows where it happened", FAILED
    typer.secho(f"error: {message}", err=True, fg="red" if _coloured() else None)
    if hint:
        say(f"→ {hint}")
    return code


def as_commands(hint: str, run: str = "RUN") -> str:
    """A hint for a terminal, with the options that find this lab again.

    Args:
        hint: What it says in Python.
        run: The run that it is about, where that is known.
    """
    words = {"RUN": run, "LAB": addresses.options()}
    for spoken, typed in _AS_COMMANDS:
        plain = re.sub("RUN|LAB", lambda found: words[found[0]].replace("\\", r"\\"), typed)
        hint = re.sub(spoken, plain, hint)
    return hint


def _coloured() -> bool:
    return sys.stderr.isatty() and not os.environ.get("NO_COLOR")


def _cell(value: object) -> str:
    from flnb.core import glance

    if isinstance(value, float):
        return glance.number(value)
    return "–" if value is None else str(value)


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
