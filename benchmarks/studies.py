"""What a study costs: a cell over its bare run, and twelve cells on two workers beside one after the other.

The recipe is the one that ships, `experiments/fedavg.ipynb`. Its bare run is the same code in this
process, which has imported everything by then; so a cell's overhead is the start of its kernel, the
imports in it, and papermill.
"""

from __future__ import annotations

import contextlib
import io
import math
import tempfile
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import flnb
from benchmarks import study_report
from benchmarks.rows import Row
from flnb.experiments import Recipe, Study

RECIPE = Path(__file__).parents[1] / "experiments/fedavg.ipynb"
GRID: dict[str, list[object]] = {"alpha": [0.1, 1.0, 100.0], "strategy": ["fedavg", "fedadam"]}
TIMES = 3


def rows(*, times: int = TIMES, seeds: int = 2, rounds: int = 20) -> Iterator[Row]:
    """Measure both, and the report of a hundred cells.

    Args:
        times: Bare runs; one more cell than that is executed for them.
        seeds: Of each setting of the grid of six.
        rounds: Of each run.
    """
    with tempfile.TemporaryDirectory(prefix="flnb-bench-") as name:
        folder = Path(name)
        yield from over_the_bare_run(folder, times, rounds)
        yield from side_by_side(folder, seeds, rounds)
    yield from study_report.rows()


def over_the_bare_run(folder: Path, times: int, rounds: int) -> Iterator[Row]:
    """From the end of one cell to the end of the next, less the bare run."""
    bare_s = [bare(folder / f"bare-{number}", number, rounds) for number in range(times + 1)][1:]
    lab = flnb.open(folder / "overhead")
    study: Study = lab.study("overhead", RECIPE, {"rounds": [rounds]}, seeds=times + 1)
    ended = sorted(study.run(workers=1).df()["ended_at"])
    cell_s = [(b - a).total_seconds() for a, b in pairwise(ended)]
    lab.store.close()
    yield Row.of(f"a cell of {rounds} rounds", cell_s, "s", peer="the bare run", peer_values=bare_s)
    over_s = [cell - one for cell, one in zip(sorted(cell_s), sorted(bare_s), strict=True)]
    yield Row.of("a cell over its bare run", over_s, "s", bar="<= 2.5")


def bare(folder: Path, seed: int, rounds: int) -> float:
    """Execute the code of the recipe here; returns the seconds that it took."""
    recipe = Recipe.read(RECIPE)
    values = recipe.parameters.values({"seed": seed, "rounds": rounds, "alpha": 0.3})
    first, *rest = recipe.sources[recipe.place + 1 :]
    assert "flnb.params()" in first, "the values are given here"
    given = {"flnb": flnb, "P": _At(values, str(folder)), "n_rounds": rounds}
    began_s = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        for source in rest:
            exec(source, given)
    return time.perf_counter() - began_s


class _At:
    """The values of a recipe, in a lab of their own."""

    def __init__(self, values: object, lab: str) -> None:
        self._values, self.lab = values, lab

    def __getattr__(self, name: str) -> object:
        return getattr(self._values, name)


def side_by_side(folder: Path, seeds: int, rounds: int) -> Iterator[Row]:
    """The grid with one worker, then with two, in labs of their own."""
    took_s = {}
    for workers in (1, 2):
        lab = flnb.open(folder / f"workers-{workers}")
        study: Study = lab.study("grid", RECIPE, GRID | {"rounds": [rounds]}, seeds=seeds)
        began_s = time.perf_counter()
        study.run(workers=workers)
        took_s[workers] = time.perf_counter() - began_s
        assert study.status.unfinished == 0, repr(study)
        lab.store.close()
    cells = math.prod(map(len, GRID.values())) * seeds
    yield Row.of(
        f"{cells} cells on 2 workers",
        [took_s[2]],
        "s",
        peer="one after the other",
        peer_values=[took_s[1]],
    )
    share = took_s[2] / took_s[1]
    yield Row.of(f"{cells} cells on 2 workers, of their serial time", [share], "", bar="<= 0.6")
