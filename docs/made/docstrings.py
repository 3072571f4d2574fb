"""Docstrings as Sphinx reads them: sections in Google's style, words `like this` as code.

A Sphinx extension. Napoleon reads the sections; left to itself it takes what stands before a colon in the
docstring of a field for the field's type, and ours say "Concentration: 0.1 is strong skew".
"""

from __future__ import annotations

import re
from typing import Any, cast

from pydantic import BaseModel
from sphinx.application import Sphinx
from sphinx.ext.napoleon import Config
from sphinx.ext.napoleon.docstring import GoogleDocstring

_CODE = re.compile(r"(?<![`:])`([^`\n]+)`(?!`)")
_STYLE = Config(napoleon_use_rtype=False, napoleon_use_ivar=True)


def setup(app: Sphinx) -> dict[str, Any]:
    """Let Sphinx read docstrings so."""
    app.connect("autodoc-process-docstring", _read)
    app.connect("autodoc-process-signature", _call)
    return {"parallel_read_safe": True}


def _read(app: Sphinx, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """Read one docstring, in place."""
    lines[:] = as_rst(lines)


def _call(
    app: Sphinx, what: str, name: str, thing: Any, options: Any, call: str | None, back: str | None
) -> tuple[str, str] | None:
    """Say how settings are made by their names alone; types and defaults stand on the page of settings."""
    if isinstance(thing, type) and issubclass(thing, BaseModel):
        return f"({', '.join(['*', *thing.model_fields]) if thing.model_fields else ''})", ""
    return None


def as_rst(lines: list[str]) -> list[str]:
    """A docstring as reStructuredText.

    Examples:
        >>> as_rst(["Concentration: `0.1` is strong skew."])
        ['Concentration: ``0.1`` is strong skew.', '']
    """
    marked = [_CODE.sub(r"``\1``", line) for line in lines]
    return [*GoogleDocstring(marked, cast("Any", _STYLE)).lines(), ""]
