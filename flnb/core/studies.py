"""Studies: whoever executes them is found by name, so that labs need not know a room above them."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOME = "flnb.experiments.opening"


def study(lab: Any, name: str, notebook: Any, grid: Any, **settings: Any) -> Any:
    """What `Lab.study` returns; see there."""
    return import_module(_HOME).study_of(lab, name, notebook, grid, **settings)


def studies(lab: Any) -> Any:
    """What `Lab.studies` returns; see there."""
    return import_module(_HOME).studies_of(lab)
