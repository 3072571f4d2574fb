"""Executes recipes, one after the other, each in a kernel of its own.

Lives in a process of its own (`cell.py`), which imports papermill once for many cells. Everything of
a cell goes into its folder: the recipe as it was executed, the notebook that came out, its page.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import nbformat
import papermill
from nbclient.exceptions import DeadKernelError
from papermill.exceptions import PapermillExecutionError

from flnb.experiments import ending
from flnb.experiments.engine import Client, Engine, Stopped
from flnb.experiments.jobs import HTML, LOG, NOTEBOOK, RECIPE, Job, Result

_INJECTED = {"injected-parameters", ending.TAG}

# It warns of every parameter that is declared with a type, for it cannot read those; `parameters.py` does.
logging.getLogger("papermill").setLevel(logging.ERROR)


def execute(job: Job) -> Result:
    """Execute the recipe of a cell in a fresh kernel, and write what came out.

    Returns:
        What became of it; whatever goes wrong in the kernel is a result and no error.
    """
    began_s = time.monotonic()
    folder = Path(job.folder)
    folder.mkdir(parents=True, exist_ok=True)
    _prepare(folder / RECIPE)
    try:
        with _logged(folder / LOG), _environment(job.environment):
            ended, why, failed = _executed(job, folder)
    finally:
        Engine.forget()
    return Result(
        ended=ended,
        why=why,
        failed_cell=failed,
        seconds_s=time.monotonic() - began_s,
        notebook=str(folder / NOTEBOOK),
    )


def _executed(job: Job, folder: Path) -> tuple[str, str, int | None]:
    """How it ended, why it failed, and in which cell of the recipe."""
    try:
        papermill.execute_notebook(
            str(folder / RECIPE),
            str(folder / NOTEBOOK),
            parameters=dict(job.values),
            engine_name="flnb",
            progress_bar=False,
            cwd=Path(job.recipe).absolute().parent,
        )
    except Stopped:
        return "stopped", "", None
    except Exception as error:  # a kernel that does not start, a kernelspec that is not there …
        if Engine.is_stopping():  # whatever breaks then breaks because of that
            return "stopped", "", None
        return "failed", *_failure(error, folder)
    return "finished", "", None


def _failure(error: Exception, folder: Path) -> tuple[str, int | None]:
    """Why a notebook failed, and in which cell of the recipe."""
    if isinstance(error, PapermillExecutionError):
        return f"{error.ename}: {error.evalue}".rstrip(": "), _number(folder)
    if isinstance(error, DeadKernelError):
        return "the kernel died; log.txt may say why", _number(folder, Engine.client)
    return f"{type(error).__name__}: {error}", None


def _number(folder: Path, client: Client | None = None) -> int | None:
    """Which code cell of the recipe failed: papermill marks it, and a dead kernel dies in one."""
    executed = client.nb if client is not None else nbformat.read(folder / NOTEBOOK, as_version=4)
    number = 0
    for place, cell in enumerate(executed.cells):
        if cell.cell_type != "code" or _INJECTED & set(cell.metadata.get("tags", ())):
            continue
        number += 1
        at = place == client.at if client is not None else cell.metadata.papermill.exception
        if at:
            return number
    return None


def _prepare(recipe: Path) -> None:
    """Give a copy of the recipe the last cell that every one gets."""
    notebook = nbformat.read(recipe, as_version=4)
    last = nbformat.v4.new_code_cell(ending.SOURCE, metadata={"tags": [ending.TAG]})
    notebook.cells.append(last)
    notebook.metadata.setdefault(
        "kernelspec", {"name": "python3", "display_name": "Python 3", "language": "python"}
    )
    nbformat.write(nbformat.v4.upgrade(notebook), recipe)


@contextlib.contextmanager
def _environment(changes: Mapping[str, str]) -> Iterator[None]:
    """Variables of the kernel that is started meanwhile."""
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextlib.contextmanager
def _logged(path: Path) -> Iterator[None]:
    """Whatever this process and its kernel write outside of cells goes into a file."""
    kept = [os.dup(number) for number in (1, 2)]
    with path.open("ab") as log:
        try:
            for number in (1, 2):
                os.dup2(log.fileno(), number)
            yield
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for number, before in zip((1, 2), kept, strict=True):
                os.dup2(before, number)
                os.close(before)


def write_page(notebook: Path) -> Path:
    """Write an executed notebook as one page of HTML that asks no other computer for anything.

    Args:
        notebook: The `.ipynb` file.

    Returns:
        The page, beside it.
    """
    from nbconvert import HTMLExporter  # takes half a second, after the first kernel has ended

    exporter: Any = HTMLExporter(
        mathjax_url="", require_js_url="", jquery_url="", embed_images=True
    )
    text, _ = exporter.from_filename(str(notebook))
    page = notebook.with_name(HTML)
    page.write_text(text, encoding="utf-8")
    return page
