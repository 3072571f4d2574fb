"""What tells one cell of a study from the others, in a few words."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from flnb.store.study_records import StudyCell


def varying(cells: Sequence[StudyCell]) -> list[str]:
    """The parameters that are not the same in all cells, in the order of the recipe."""
    seen: dict[str, set[object]] = {}
    for cell in cells:
        for name, value in cell.parameters.items():
            seen.setdefault(name, set()).add(_told_apart(value))
    return [name for name, values in seen.items() if len(values) > 1]


def labelled(cell: StudyCell, names: Sequence[str]) -> str:
    """Such as `alpha=0.3 seed=1`; the beginning of its key where it is the only one.

    Args:
        cell: Which.
        names: What is not the same in all cells of its study: `varying`, asked once for all of them.
    """
    words = [f"{name}={_short(cell.parameters.get(name))}" for name in names]
    return " ".join(words) or cell.key[:8]


def _told_apart(value: Any) -> object:
    """What is equal of values that JSON writes alike, as 1 and 1.0 are not."""
    if isinstance(value, str | int | float) and value == value:  # NaN is written
        return type(value), value
    return json.dumps(value, sort_keys=True)


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
