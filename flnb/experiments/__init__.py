"""Studies: a notebook as recipe, many cells in one lab, each in a kernel of its own, and reports.

Here is what is asked for (`study_file.py`, `grid.py`), what a recipe can be given (`recipe.py`,
`parameters.py`), and who executes it (`runner.py`, its workers and their kernels). How a run trains
is none of it: a kernel makes a coordinator of its own, as a guest of the lab. Only this room imports
papermill. Read `study.py` first, then `planning.py` and `runner.py`; reports are in `report/`.
"""

from flnb.experiments.grid import Between, Grid, Listed, Optuna, Random
from flnb.experiments.params import params
from flnb.experiments.recipe import Recipe
from flnb.experiments.study import Study
from flnb.experiments.study_file import StudyFile

__all__ = [
    "Between",
    "Grid",
    "Listed",
    "Optuna",
    "Random",
    "Recipe",
    "Study",
    "StudyFile",
    "params",
]
