"""The environment lock: what is installed where a report is written."""

from __future__ import annotations

import platform
from importlib.metadata import distributions

from flnb.core.cards import Html, escape
from flnb.experiments.report import elements


def packages() -> Html:
    """Every package with its version, folded away on a screen."""
    found = {
        str(one.metadata["Name"]): one.version for one in distributions() if one.metadata["Name"]
    }
    named = sorted(found.items(), key=lambda pair: pair[0].lower())
    items = "".join(f"<li>{escape(f'{name}=={version}')}</li>" for name, version in named)
    words = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}, {len(named)} packages"
    return elements.fold(
        f"Installed where this report was written: {words}",
        Html(f'<ul class="packages">{items}</ul>'),
    )
