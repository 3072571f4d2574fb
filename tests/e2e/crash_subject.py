"""The run that the crash test kills: small, and with everything in it that a crash could lose.

FedAdam at the server, momentum at the clients, batch norm with its integer buffer, federated
evaluation, clients that drop out and clients that are too slow for the quorum, and one attempt that
finds too few updates. It is started and resumed from a command line:

    python -m tests.e2e.crash_subject start LAB [every=1] [workers=2] [seed=…] [rests=CLIENT]
    python -m tests.e2e.crash_subject resume LAB… [rests=CLIENT]
    python -m tests.e2e.crash_subject script FILE ARGUMENT…

At the end `start` and `resume` write what the lab holds, in words that can be compared, to
`LAB.json`. `script` runs another file, as `python FILE` would.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

import flnb
from flnb import tasks
from flnb.core import failpoints
from flnb.core.errors import InsufficientClientsError, NotFoundError
from flnb.core.view import Status
from flnb.datasets import load_digits_data
from flnb.processes import Channel, ForkServer

NAME = "crash"
ROUNDS = 6
SEED = 7
TABLES = ("metrics", "events", "rounds", "assignments", "updates", "runs")


class Net(nn.Module):
    """Two layers with a batch norm between them, which counts its batches in an int64."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.Linear(64, 24)
        self.norm = nn.BatchNorm1d(24)
        self.output = nn.Linear(24, 10)

    def forward(self, images: Tensor) -> Tensor:
        return self.output(torch.relu(self.norm(self.hidden(images.flatten(1)))))


@tasks.importable
def task(clients: int = 12) -> flnb.Task:
    data = load_digits_data(split=flnb.Dirichlet(alpha=1.0, clients=clients, seed=1))
    return flnb.Task(model=Net, data=data, name="digits-with-batch-norm")


def plan(every: int | str = 1, seed: int = SEED) -> flnb.Plan:
    return flnb.Plan(
        strategy=flnb.FedAdam(local=flnb.Local(epochs=1, batch_size=16, lr=0.05, momentum=0.9)),
        rounds=ROUNDS,
        invite=8,
        need=5,
        close="quorum",
        seed=seed,
        evaluation=flnb.Evaluation(federated=True),
        commit_every=every,
    )


def start(
    lab: Path, *, every: int | str = 1, workers: int = 2, seed: int = SEED, rests: str = ""
) -> None:
    """Run from the first round to the last, going on after an attempt with too few updates."""
    with flnb.Coordinator(lab) as coordinator:
        the_task = task()
        coordinator.simulate(the_task, slow="lognormal:0.8", drop=0.25, workers=workers)
        let_rest(coordinator, rests)
        to_the_end(coordinator.run(plan(every, seed), the_task, name=NAME))
        note(coordinator.lab)


def resume(lab: Path, *, rests: str = "") -> None:
    """Go on with what a killed process left, to the last round."""
    with flnb.Coordinator(lab) as coordinator:
        let_rest(coordinator, rests)
        run = coordinator.lab.run(NAME)
        if run.status is not Status.FINISHED:
            to_the_end(coordinator.lab.resume(run))
        note(coordinator.lab)


def let_rest(coordinator: flnb.Coordinator, client: str) -> None:
    """Put a client in quarantine, if one is named."""
    if client:
        coordinator.lab.store.state.quarantine(client, "somebody", "odd losses")
        coordinator.rest(coordinator.quarantines)


def to_the_end(run: flnb.Run) -> None:
    while True:
        try:
            run.wait()
        except InsufficientClientsError:
            run.resume()
        else:
            return


def note(lab: flnb.Lab) -> None:
    """Write down what the lab holds: every table, every commit, every failed attempt."""
    run = lab.run(NAME)
    rounds = {row["round"]: row["snapshot"] for row in run.rounds if row["snapshot"]}
    history = {
        round_: {
            group: hashlib.sha256(f"{array.dtype.str}".encode() + array.tobytes()).hexdigest()
            for group, array in lab.store.history.read(snapshot).items()
        }
        for round_, snapshot in rounds.items()
    }
    found = {
        "parameters": run.parameters_sha256,
        "history": history,
        "attempts": [
            (each.round, each.attempt, each.counts, each.reasons)
            for each in lab.store.state.attempts(run.id)
        ],
        "journal": [record.kind for record in lab.store.state.journal_of_open_round(run.id)],
        "tables": {name: list(lab.sql(f"SELECT * FROM {name}")) for name in TABLES},
    }
    lab.path.with_suffix(".json").write_text(json.dumps(found, default=str))


def main(command: str, *arguments: str) -> None:
    if command == "script":
        sys.argv = list(arguments)
        runpy.run_path(arguments[0], run_name="__main__")
        return
    labs = [Path(argument) for argument in arguments if "=" not in argument]
    options = dict(argument.split("=") for argument in arguments if "=" in argument)
    settings = {name: int(text) if text.isdigit() else text for name, text in options.items()}
    for lab in labs:
        if command == "start":
            start(lab, **settings)
            continue
        try:
            resume(lab, rests=options.get("rests", ""))
        except NotFoundError:  # killed before there was a run
            start(lab, **settings)


def serve(channel: Channel, _fds: Sequence[int]) -> None:
    """Be such a command in a process that was forked ready, for torch takes seconds to import.

    Its fork server is forked from it for the same reason, before it has any thread.
    """
    environment, arguments = channel.recv()
    os.environ.update(environment, FLNB_PROGRESS="off")
    importlib.reload(failpoints)  # reads the environment
    ForkServer.share_copy()
    main(*arguments)
    ForkServer._shared.close()


if __name__ == "__main__":
    # Under its own name, so that the task can be made again by name.
    importlib.import_module("tests.e2e.crash_subject").main(*sys.argv[1:])
