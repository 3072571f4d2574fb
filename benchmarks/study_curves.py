"""What a study measured on held-out data, round by round."""

from __future__ import annotations

import pandas as pd

import flnb


def accuracies(address: str, study: str, by: list[str]) -> pd.DataFrame:
    """Test accuracy by round, a row for each value of some parameters and a column a measured round.

    Args:
        address: The lab.
        study: Its name there.
        by: Parameters that tell its cells apart.
    """
    lab = flnb.open(address)
    cells = lab.study(study).df().set_index("run")[by]
    measured = lab.sql(
        "SELECT run, round, value FROM metrics WHERE scope = 'central' AND metric = 'accuracy'"
    ).df()
    wide = measured.pivot(index="run", columns="round", values="value")
    return pd.DataFrame(cells.join(wide, how="inner").set_index(by).sort_index())
