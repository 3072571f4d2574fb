"""Reports: whoever writes them is found by name, so that runs need not know a room above them."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

_HOMES = {"run": "flnb.experiments.report.of_run"}


def write(kind: str, told: Any, path: str | Path, **options: Any) -> Path:
    """Write an object as one HTML file.

    Args:
        kind: What it is: `run`.
        told: The object.
        path: Where.
        **options: See the method of the object.

    Returns:
        Where the file lies.
    """
    written: Path = import_module(_HOMES[kind]).write(told, path, **options)
    return written


def shown(kind: str, told: Any, **options: Any) -> Any:
    """The same page as what a cell of a notebook shows.

    Args:
        kind: What it is: `run`.
        told: The object.
        **options: See the method of the object.
    """
    return import_module(_HOMES[kind]).shown(told, **options)
