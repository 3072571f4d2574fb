"""Cells of studies and plans as viewers see them: where files lie is no aggregate, reasons and plans may name clients."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import yaml

from flnb.store.study_records import StudyCell

HIDDEN = "an operator sees why"
_PATH = re.compile(r"""([/~.\\]|[A-Za-z]:[\\/]|\w+://).*|[^<>"|?*]*""", re.DOTALL)
"""How a place begins; another text may be a path too, if it has no sign that paths are seldom written with."""


def viewed(cell: StudyCell) -> StudyCell:
    """A cell as viewers see it."""
    why, parameters = HIDDEN if cell.why else "", without_places(dict(cell.parameters))
    return replace(cell, why=why, parameters=parameters, notebook="", page="", log="")


def plan_viewed(plan_yaml: str) -> str:
    r"""A plan as viewers see it: how many clients it leaves out, and not which.

    Examples:
        >>> plan_viewed("rounds: 4\nexclude: [clinic-a, clinic-b]\n")
        'rounds: 4\nexclude:\n- hidden-1\n- hidden-2\n'
    """
    if "\nexclude: []\n" in plan_yaml:  # as a rule; to read all of a long list takes its time
        return plan_yaml
    plan = yaml.safe_load(plan_yaml)
    told = settings_viewed(plan)
    if told == plan:
        return plan_yaml
    return yaml.safe_dump(told, sort_keys=False, allow_unicode=True)


def settings_viewed(plan: Mapping[str, Any]) -> dict[str, Any]:
    """The same of a plan's settings."""
    if not plan.get("exclude"):
        return dict(plan)
    n_excluded = len(plan["exclude"])
    return {**plan, "exclude": [f"hidden-{number + 1}" for number in range(n_excluded)]}


def without_places(value: Any) -> Any:
    """A parameter, or all of them, with the last part alone of what is a path.

    A row does not say of which type a parameter is: a text with slashes that could be a path counts as one.

    Examples:
        >>> without_places({"data": "/srv/ada/patients.csv", "alpha": 0.3, "sites": ["a/b", "c"]})
        {'data': 'patients.csv', 'alpha': 0.3, 'sites': ['b', 'c']}
    """
    if isinstance(value, str):
        if not _PATH.fullmatch(value):
            return value
        return value.replace("\\", "/").rstrip("/").rpartition("/")[2]
    if isinstance(value, Mapping):
        return {name: without_places(one) for name, one in value.items()}
    return [without_places(one) for one in value] if isinstance(value, list) else value


def row_without_places(parameters: str, label: str) -> tuple[str, str]:
    """Parameters as JSON and label of a cell, with the last parts alone of what are paths."""
    if "/" not in parameters and "\\" not in parameters:
        return parameters, label
    known = json.loads(parameters)
    for text in sorted(_texts(known), key=len, reverse=True):  # one may begin another
        label = label.replace(text, without_places(text))
    return json.dumps(without_places(known)), label


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        if value != without_places(value):
            yield value
    elif isinstance(value, Mapping | list):
        for one in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(one)
