"""How two versions of a model differ, tensor by tensor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from flnb.core import cards
from flnb.store import Table
from flnb.tensors import Model

if TYPE_CHECKING:
    import pandas as pd


class Difference:
    """A row for each tensor, the most changed first.

    `relative_l2` is ‖b − a‖ / ‖a‖, `cosine` that of the angle between a and b, `largest` the largest
    change of one value, `equal` the share of values that are the same to the bit.

    Args:
        title: What was compared.
        rows: Of the table.
    """

    def __init__(self, title: str, rows: list[dict[str, object]]) -> None:
        self.title = title
        self.table = Table.of({name: [row[name] for row in rows] for name in rows[0]})

    def df(self) -> pd.DataFrame:
        """As a DataFrame."""
        return self.table.df()

    def __repr__(self) -> str:
        """Title and the first rows."""
        return f"{self.title}\n{self.table!r}"

    def _repr_mimebundle_(self, **_: object) -> Mapping[str, str]:
        inner = self.table._repr_mimebundle_()["text/html"]
        return cards.bundle(repr(self), cards.framed(cards.quiet(self.title), cards.Html(inner)))


def differences(title: str, before: Model, after: Model) -> Difference:
    """Compare two versions of one layout; sums in double precision."""
    rows = [
        {"tensor": slot.name, "shape": "×".join(map(str, slot.shape)) or "1"}
        | _difference(before.tensor(slot.name), after.tensor(slot.name))
        for slot in before.layout.slots
    ]
    return Difference(title, sorted(rows, key=lambda row: -float(row["relative_l2"])))  # type: ignore[arg-type]  # a number


def _difference(before: np.ndarray, after: np.ndarray) -> dict[str, object]:
    a, b = (array.astype(np.float64).reshape(-1) for array in (before, after))
    change, norm_a, norm_b = b - a, _norm(a), _norm(b)
    return {
        "relative_l2": _norm(change) / norm_a if norm_a else np.inf if norm_b else 0.0,
        "cosine": float(a @ b / (norm_a * norm_b)) if norm_a and norm_b else float("nan"),
        "largest": float(np.abs(change).max(initial=0.0)),
        "equal": float(np.mean(before == after)) if before.size else 1.0,
    }


def _norm(values: Float[np.ndarray, " n"]) -> float:
    return float(np.linalg.norm(values))
