"""What is done with a version: the client half of a strategy, by name, on this client's examples."""

from __future__ import annotations

import inspect
import re
import threading
from collections.abc import Callable, Sequence

import torch

from flnb.core import ClientHalf, Work
from flnb.core.errors import TaskError
from flnb.tasks import Task
from flnb.tensors import Model
from flnb.training import LocalResult, LocalTraining, Resident, find_training

Train = Callable[[Model, Work], LocalResult]
"""Turns a version and what to do with it into an update."""

OWN_HALVES = ("flnb.",)

TURN = threading.Lock()
"""Held by whoever seeds torch's generator, which is one for the whole process: clients of one
process train, and build modules, in turns."""


class LocalTrainer:
    """Runs client halves on a task with one client, with one torch thread.

    Args:
        task: Has this client and no other.
        allowed: Beginnings of module names; a half of any other module is not run.
    """

    def __init__(self, task: Task, allowed: Sequence[str]) -> None:
        self._task, self._allowed = task, allowed
        self._resident: Resident | None = None

    def __call__(self, base: Model, work: Work) -> LocalResult:
        """Train.

        Raises:
            TaskError: The half may not be run here, or there is none of that name.
        """
        (client,) = work.clients
        half = allowed_half(work.half, self._allowed)
        with TURN:
            # How a sum is split over threads changes its bits; simulated clients have one as well.
            torch.set_num_threads(1)
            if self._resident is None:
                self._resident = Resident(self._task)
            return half(self._resident, base, work, client)


def allowed_half(half: ClientHalf, allowed: Sequence[str]) -> LocalTraining:
    """Find a client half, if it is one of those that may be run here.

    A coordinator names what is run, so a name must not be a way to any function of this machine:
    it must be a function at the top of a module that the owner of this client allowed, and written
    there or in another allowed module.

    Raises:
        TaskError: It may not be run, or there is none of that name.
    """
    module, _, name = half.entry.partition(":")
    if not (re.fullmatch(r"\w+(\.\w+)*", module) and name.isidentifier()):
        raise TaskError(f"{half.entry!r} is not of the form package.module:function")
    if not _is_allowed(module, allowed):
        raise _not_allowed(half.entry, allowed)
    training = find_training(half)
    if not inspect.isfunction(training) or not _is_allowed(training.__module__, allowed):
        raise _not_allowed(half.entry, allowed)
    return training


def _is_allowed(module: str, allowed: Sequence[str]) -> bool:
    return any(f"{module}.".startswith(f"{prefix.rstrip('.')}.") for prefix in allowed)


def _not_allowed(entry: str, allowed: Sequence[str]) -> TaskError:
    return TaskError(
        f"this client does not run {entry!r}: it runs functions of {', '.join(allowed)} only",
        hint="whoever owns the client allows more with Client(…, allow_halves=('mypackage.',))",
    )
