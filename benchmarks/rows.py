"""A row: one measured figure beside what it is compared with, and the machine it was measured on."""

from __future__ import annotations

import operator
import os
import platform
import statistics
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

_COMPARE = {"<=": operator.le, ">=": operator.ge}


@dataclass(frozen=True, slots=True)
class Row:
    """One figure.

    `peer` is another program, the physical limit, or "none"; `bar` is what was promised, such as
    "<= 0.3" ("" when nothing was); `ok` is whether the bar was met (None without one).
    """

    name: str
    value: float
    unit: str
    peer: str
    peer_value: float | None
    ratio: float | None
    bar: str
    ok: bool | None
    spread: str

    @classmethod
    def of(
        cls,
        name: str,
        values: Sequence[float],
        unit: str,
        *,
        peer: str = "none",
        peer_values: Sequence[float] = (),
        bar: str = "",
    ) -> Row:
        """Make a row from repeated measurements: medians, and from where to where they spread."""
        value = float(
            statistics.median(values)
        )  # whatever NumPy made of it: rows are written as JSON
        peer_value = float(statistics.median(peer_values)) if peer_values else None
        comparison, _, limit = bar.partition(" ")
        return cls(
            name=name,
            value=value,
            unit=unit,
            peer=peer,
            peer_value=peer_value,
            ratio=value / peer_value if peer_value else None,
            bar=bar,
            ok=_COMPARE[comparison](value, float(limit)) if bar else None,
            spread=f"{_figure(min(values))} – {_figure(max(values))} of {len(values)}"
            if len(values) > 1
            else "",
        )


def as_table(rows: Sequence[Row]) -> str:
    """Draw rows as a Markdown table, ready to be put into the documentation."""
    heads = ("figure", "median", "spread", "beside", "its median", "ratio", "bar", "met")
    lines = ["| " + " | ".join(heads) + " |", "|---|--:|--:|---|--:|--:|--:|---|"]
    for row in rows:
        cells = (
            row.name,
            f"{_figure(row.value)} {row.unit}".strip(),
            row.spread,
            row.peer,
            "" if row.peer_value is None else f"{_figure(row.peer_value)} {row.unit}".strip(),
            "" if row.ratio is None else f"{row.ratio:.3g}",
            row.bar,
            {True: "yes", False: "NO", None: ""}[row.ok],
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def as_json(rows: Sequence[Row]) -> list[dict[str, object]]:
    """Rows as plain objects, each with the machine, the date and the commit it belongs to."""
    return [{**asdict(row), **circumstances()} for row in rows]


def circumstances() -> dict[str, str]:
    """Machine, how busy it is, date and commit of a measurement."""
    return {
        "machine": f"{_processor()}, {os.cpu_count()} cores, {_memory_gib():.0f} GiB; "
        f"Python {platform.python_version()}, torch {version('torch')}, numpy {version('numpy')}",
        "load": f"{os.getloadavg()[0]:.1f} processes on average in the last minute",
        "date": datetime.now(UTC).date().isoformat(),
        "commit": _commit(),
    }


def _figure(value: float) -> str:
    """Three digits, and never less than the whole number."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def _commit() -> str:
    described = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--exclude=*"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return described.stdout.strip() or "unknown"
