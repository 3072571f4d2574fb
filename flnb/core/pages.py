"""Pages in a notebook: whoever draws them is found by name, so that runs need not know a face."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from typing import Any

from flnb.core.errors import PlanError

GROUP = "flnb.pages"
# The same places stand in pyproject.toml as entry points, for plug-ins to see how it is done.
_HOMES = {
    "run": "flnb.dashboards.cells:run_page",
    "coordinator": "flnb.dashboards.cells:coordinator_page",
}


def page(kind: str, shown: Any) -> Any:
    """Draw an object as a page with buttons, for a cell.

    Args:
        kind: `run` or `coordinator`.
        shown: The object.

    Returns:
        What Panel shows.

    Raises:
        PlanError: What draws pages is not installed.
    """
    try:
        draw = EntryPoint(kind, _HOMES[kind], GROUP).load()
    except ModuleNotFoundError as error:
        raise PlanError(
            f"pages need {error.name}, which is not installed",
            hint="pip install 'flnb[dashboards]'",
        ) from error
    return draw(shown)
