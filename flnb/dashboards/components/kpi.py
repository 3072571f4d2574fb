"""Key figures: label, number, change; in a row that wraps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flnb.core.cards import Html, escape

CSS = """
.kpis { display: grid; grid-template-columns: repeat(auto-fit, minmax(140px, 1fr)); gap: 8px; margin: 0; }
.kpi { border: 1px solid var(--line); border-radius: 8px; padding: 12px 16px; min-width: 0; }
.kpi dt { font-size: 12px; color: var(--quiet); margin: 0; }
.kpi dd { margin: 0; font-size: 22px; line-height: 32px; font-weight: 650; overflow-wrap: anywhere; }
.kpi dd small { font-size: 13px; font-weight: 500; color: var(--quiet); }
"""


@dataclass(frozen=True, slots=True)
class Figure:
    """One key figure."""

    label: str
    value: str
    note: str = ""
    """Its change, or what it is out of."""


def kpis(figures: Sequence[Figure]) -> Html:
    """Draw key figures; goes with `CSS` of this module."""
    cells = "".join(
        f'<div class="kpi"><dt>{escape(one.label)}</dt>'
        f"<dd>{escape(one.value)}{f' <small>{escape(one.note)}</small>' if one.note else ''}</dd></div>"
        for one in figures
    )
    return Html(f'<dl class="kpis">{cells}</dl>')
