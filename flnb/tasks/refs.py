"""Tasks by name: what a run writes down so that it can be resumed without your notebook.

A factory at the top of a module of yours, decorated with `importable`, gives tasks that know how
they were made:

    @flnb.tasks.importable
    def cifar(clients: int = 100) -> flnb.Task: ...

A run then records `my_tasks:cifar` with the arguments, and `load` makes the task again in any
process that can import `my_tasks`.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ParamSpec, overload

from flnb.core.errors import TaskError, did_you_mean
from flnb.datasets import Partitioner, write_partitioner
from flnb.tasks.marks import check_marks, not_marked
from flnb.tasks.task import Task

P = ParamSpec("P")

_MARK = "__flnb_importable__"


@dataclass(frozen=True, slots=True)
class TaskRef:
    """How an importable task is made."""

    use: str
    """`package.module:function`."""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    """Keyword arguments; whatever JSON can hold."""


@overload
def importable(factory: Callable[P, Task]) -> Callable[P, Task]: ...


@overload
def importable(*, module: str) -> Callable[[Callable[P, Task]], Callable[P, Task]]: ...


def importable(factory: Callable[..., Task] | None = None, *, module: str | None = None) -> Any:
    """Decorate a factory so that its tasks can be made again by name.

    A factory that is not at the top of a module, or lives in a notebook, and arguments that JSON
    cannot hold give tasks without a `ref`: they work, and are resumed with `task=task`.

    Args:
        factory: Any function at the top of a module that gives a Task.
        module: Where to import it from, if that is not the module it is written in.
    """
    if factory is None:
        return functools.partial(importable, module=module)
    where = module or factory.__module__
    signature = inspect.signature(factory)

    @functools.wraps(factory)
    def make(*args: Any, **kwargs: Any) -> Task:
        task = factory(*args, **kwargs)
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return task.referred(_ref(f"{where}:{factory.__qualname__}", bound.arguments))

    setattr(make, _MARK, True)
    return make


def resolve(use: str, **arguments: Any) -> Task:
    """Make a task from the name of its factory.

    Args:
        use: `package.module:function`, such as `flnb.tasks:digits`.
        **arguments: Passed to the factory.

    Raises:
        TaskError: The module or function does not exist, does not take these arguments, or gives
            something else than a Task.
    """
    factory = _find(use)
    try:
        inspect.signature(factory).bind(**arguments)
    except (TypeError, ValueError) as error:  # ValueError: a builtin without a signature
        raise TaskError(f"{use} does not take these arguments: {error}") from error
    task = factory(**arguments)
    if not isinstance(task, Task):
        raise TaskError(f"{use} gives {type(task).__name__}, expected a flnb.Task")
    return task if task.ref else task.referred(_ref(use, arguments))


def load(ref: TaskRef, *, marked_only: bool = False) -> Task:
    """Make the task that a run was started with.

    Args:
        ref: How it is made.
        marked_only: Call nothing but what `importable` marks, and import no module that marks
            nothing; for names that come from elsewhere, which could otherwise run any module and
            call any function that there is.

    Raises:
        TaskError: It cannot be imported, is not marked, or is no longer made with these arguments.
    """
    if marked_only:
        check_marks(*_parts(ref.use))
        if not getattr(_find(ref.use), _MARK, False):
            raise not_marked(ref.use)
    return resolve(ref.use, **ref.arguments)


def _parts(use: str) -> tuple[str, str]:
    name, _, function = use.partition(":")
    if not (name and function):
        raise TaskError(f"{use!r} is not of the form package.module:function")
    return name, function


def _find(use: str) -> Callable[..., Any]:
    name, function = _parts(use)
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        raise TaskError(
            f"the task {use} cannot be imported: {error}",
            hint="start Python where the module can be found, or pass task=task",
        ) from error
    factory = getattr(module, function, None)
    if not callable(factory):
        names = [key for key, value in vars(module).items() if callable(value)]
        raise TaskError(f"{name} has no function {function!r}", hint=did_you_mean(function, names))
    return factory  # type: ignore[no-any-return]  # checked to be callable


def _ref(use: str, arguments: Mapping[str, Any]) -> TaskRef | None:
    if use.startswith("__main__:") or "<" in use:
        return None
    plain = {
        name: write_partitioner(value) if isinstance(value, Partitioner) else value
        for name, value in arguments.items()
    }
    try:
        return TaskRef(use, json.loads(json.dumps(plain, allow_nan=False)))
    except (TypeError, ValueError):
        return None
