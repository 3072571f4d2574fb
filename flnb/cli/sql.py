"""`flnb sql`: one read-only question to a lab."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from flnb.cli import output
from flnb.cli.output import AsJson, At, LabPath


def sql(
    query: Annotated[
        str, typer.Argument(metavar="QUERY", help="One SELECT; - reads it from stdin.")
    ],
    lab: LabPath = output.DEFAULT_LAB,
    at: At = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Write CSV to stdout.")] = False,
    as_json: AsJson = False,
    rows: Annotated[int, typer.Option(min=1, help="At most so many rows.")] = 10_000,
    timeout_s: Annotated[float, typer.Option("--timeout", help="Seconds to wait at most.")] = 5.0,
) -> None:
    """Ask a lab with SQL, also while it runs.

    Tables: runs, studies, study_cells, clients, operations, rounds, assignments, updates, metrics, events.
    """
    from flnb.cli import labs

    if as_csv and as_json:
        raise typer.BadParameter("choose --csv or --json, not both")
    text = sys.stdin.read() if query == "-" else query
    with labs.reached(lab, at) as asked:
        answer = asked.sql(text, rows=rows, timeout_s=timeout_s)
    if as_json:
        output.data(list(answer))
        return
    cells = answer.rows()
    if as_csv:
        output.csv_rows(answer.columns, cells)
    else:
        output.table(answer.columns, cells, left=_text_columns(cells))


def _text_columns(cells: list[tuple[object, ...]]) -> int:
    """How many leading columns hold text and stand left."""
    first = cells[0] if cells else ()
    numbers = [isinstance(value, int | float) for value in first]
    return numbers.index(True) if True in numbers else len(first)
