"""What the report of a study costs: a hundred cells of two hundred rounds each, as frames without runs."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.rows import Row
from benchmarks.study_frames import ALPHAS, STRATEGIES, study
from flnb.experiments.report.of_study import markup
from flnb.experiments.report.page import save


def rows(*, times: int = 3, seeds: int = 5, rounds: int = 200) -> Iterator[Row]:
    """Measure the drawing and the size of the file.

    Args:
        times: How often it is drawn.
        seeds: Of each of twenty settings.
        rounds: Of each cell.
    """
    cells = len(ALPHAS) * len(STRATEGIES) * seeds
    took_s, sizes_mb = [], []
    with tempfile.TemporaryDirectory(prefix="flnb-bench-") as name:
        for _ in range(times):
            facts = study(ALPHAS, STRATEGIES, seeds, rounds)
            began_s = time.perf_counter()
            path = save(markup(facts), Path(name) / "study.html")
            took_s.append(time.perf_counter() - began_s)
            sizes_mb.append(path.stat().st_size / 1e6)
    yield Row.of(f"report of {cells} cells", took_s, "s", bar="<= 10")
    yield Row.of(f"report of {cells} cells, size", sizes_mb, "MB", bar="<= 5")
