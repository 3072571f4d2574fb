"""The run file of `flnb run`: a task by name, the clients to simulate, and the plan.

task:
  use: flnb.tasks:digits
  with: {clients: 20}
simulate: {workers: 2, drop: 0.05}
plan:
  strategy: {kind: fedavg, local: {lr: 0.1}}
  rounds: 30
name: first-try
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import AfterValidator, Field, NonNegativeInt, PositiveInt

from flnb.core.config import Frozen
from flnb.core.errors import PlanError
from flnb.core.plan import Plan


def _place(use: str) -> str:
    if not re.fullmatch(r"[\w.]+:[\w.]+", use):
        raise ValueError("a task is named package.module:function")
    return use


class TaskChoice(Frozen):
    """Which task: a function that makes it, and its arguments."""

    use: Annotated[str, AfterValidator(_place)]
    """`package.module:function`."""
    with_: dict[str, Any] = Field(default={}, alias="with")
    """Keyword arguments of the function."""


class Simulation(Frozen):
    """Clients that live on this machine."""

    clients: PositiveInt | None = None
    """How many of the task's clients take part; None is all of them."""
    workers: NonNegativeInt | None = None
    """Processes that share the work; None is one a core, 0 trains in this process. The result
    does not depend on it."""
    slow: float | str | None = None
    """Simulated seconds that a client takes: a number, `lognormal`, or `lognormal:0.8`."""
    drop: float = Field(default=0.0, ge=0.0, le=1.0)
    """Probability with which a client drops out of a round."""


class RunFile(Frozen):
    """Everything that `flnb run` needs to know."""

    task: TaskChoice
    """What is learned."""
    simulate: Simulation = Simulation()
    """Who learns it."""
    plan: Plan = Field(default_factory=Plan)
    """How the rounds go."""
    name: str | None = None
    """What the run is called; None invents a name."""


def read(path: Path, overrides: list[str]) -> RunFile:
    """Read a run file.

    Args:
        path: The YAML file.
        overrides: Settings such as `plan.rounds=200`, whose values are read as YAML.

    Raises:
        PlanError: No such file, not YAML, an unknown key (with its nearest neighbour), or a bad
            value.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise PlanError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise PlanError(f"{path} is not text: {error}") from error
    data = _yaml(text, str(path))
    if not isinstance(data, dict):
        hint = "it needs at least task: {use: …}"
        raise PlanError(f"{path} is not a mapping of settings", hint=hint)
    for override in overrides:
        _set(data, override)
    stray = [str(key) for key in data if key in Plan.model_fields]
    if stray:
        hint = "put the plan under plan:, beside task: {use: …}"
        raise PlanError(
            f"{path}: settings of the plan stand outside: {', '.join(stray)}", hint=hint
        )
    # `plan:` with nothing below it means the default plan.
    return RunFile(**{str(key): value for key, value in data.items() if value is not None})


def changes(plan: Plan, overrides: list[str]) -> dict[str, Any]:
    """What `--set` makes of some settings of a plan, for its `replace`.

    Args:
        plan: The plan as it is.
        overrides: Such as `rounds=200` or `strategy.local.lr=0.05`, also with `plan.` before it.

    Raises:
        PlanError: One is no setting with a value.
    """
    data: dict[str, Any] = {"plan": _yaml(plan.to_yaml(), "the plan")}
    changed = []
    for override in overrides:
        setting = override.removeprefix("plan.")
        _set(data, f"plan.{setting}")
        changed.append(setting.partition("=")[0].partition(".")[0])
    return {name: data["plan"][name] for name in changed}


def _set(data: dict[str, Any], override: str) -> None:
    place, equals, text = override.partition("=")
    *parents, last = place.split(".")
    if not equals or not all((*parents, last)):
        raise PlanError(f"--set {override!r} is not a setting", hint="write --set plan.rounds=200")
    value = _yaml(text, f"the value of --set {override!r}")
    for parent in parents:
        # `strategy: fedavg` is short for a mapping; a setting below it makes it long.
        if isinstance(data.get(parent), str) and parent == "strategy":
            data[parent] = {"kind": data[parent]}
        if data.get(parent) is None:
            data[parent] = {}
        data = data[parent]
        if not isinstance(data, dict):
            raise PlanError(f"--set {override!r}: {parent} is a value and has no settings")
    data[last] = value


def _yaml(text: str, what: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise PlanError(f"{what} is not YAML{line}: {error.problem}") from error
    except yaml.YAMLError as error:
        raise PlanError(f"{what} is not YAML: {str(error).splitlines()[0]}") from error
