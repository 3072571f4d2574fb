"""All made pages by where they belong, below `docs/reference`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from docs.made import commands, endpoints, errors, names, settings, tables

PAGES: Mapping[str, Callable[[], str]] = {
    "commands.md": commands.written,
    "settings.md": settings.written,
    "tables.md": tables.written,
    "errors.md": errors.written,
    "endpoints.md": endpoints.written,
    **{f"python/{name}.md": partial(names.written, name) for name in names.PAGES},
}
"""Name of each page below `docs/reference`, and what writes it."""
