"""Which examples are this client's, the task that it trains on them, and what it says of it."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from flnb import __version__
from flnb.client.trainer import TURN
from flnb.core import ClientId
from flnb.core.errors import DataError, did_you_mean
from flnb.datasets import Split
from flnb.tasks import Task
from flnb.transport.convert import PROTOCOL
from flnb.transport.v1 import federation_pb2 as pb


@dataclass(frozen=True, slots=True)
class About:
    """What a client says of its task."""

    task: str
    layout_hash: str
    code_digest: str
    n_examples: int
    life: bytes = field(default_factory=partial(secrets.token_bytes, 8))
    """Drawn anew by each process, so that a coordinator knows one that was killed."""

    def hello(self, held: Sequence[pb.AssignmentId]) -> pb.ClientNote:
        """The first note of a session.

        Args:
            held: Signed updates on the disk whose fate is not known.
        """
        hello = pb.Hello(
            protocol=PROTOCOL,
            version=__version__,
            task=self.task,
            layout_hash=self.layout_hash,
            code_digest=self.code_digest,
            n_examples=self.n_examples,
            held=held,
            life=self.life,
        )
        return pb.ClientNote(hello=hello)


def prepared(task: Task, client: ClientId) -> tuple[Task, About]:
    """Make a client's task and describe it; takes as long as reading all of the data once.

    Args:
        task: The task where this client runs.
        client: The name under which it joined.

    Raises:
        DataError: The client has no examples, or its name is none of several in the split.
        TaskError: The model cannot be trained.
    """
    own = as_client(task, client)
    with TURN:  # modules are built
        described = About(
            task=task.name,
            layout_hash=own.layout.hash,
            code_digest=task.fingerprint().code,
            n_examples=int(own.split.sizes.sum()),
        )
    return own, described


def as_client(task: Task, client: ClientId) -> Task:
    """Copy of a task with one client, called as the coordinator knows it.

    Everything random at a client is derived from its name, so it trains as a simulated client of
    that name does. Its examples are those of the client of its name in the task's split, or of the
    only client there is. A name that a split of several does not know is refused: with all of the
    examples it would train on what is others', and nobody would see it.

    Args:
        task: The task where this client runs.
        client: The name under which it joined.

    Raises:
        DataError: It has no examples, or its name is none of several in the split.
    """
    split = Split.of({client: _rows(task, client)})
    if not split.sizes[0]:
        raise DataError(
            f"client {client!r} has no examples in task {task.name!r}",
            hint="see task.split.describe()",
        )
    return Task(
        model=task.model,
        data=task.data,
        split=split,
        loss=task.loss,
        metrics=list(task.metrics.values()),
        name=task.name,
    )


def _rows(task: Task, client: ClientId) -> np.ndarray:
    if client in task.split.clients:
        return task.split.indices(client)
    if len(task.split) == 1:
        return task.split.indices(task.split.clients[0])
    raise DataError(
        f"client {client!r} is none of the {len(task.split)} clients in the split of task "
        f"{task.name!r}",
        hint=f"{did_you_mean(client, task.split.clients)}; where a client has examples of its own, "
        "its task has one client, of any name: split=flnb.IID(clients=1)",
    )
