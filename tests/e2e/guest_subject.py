"""A guest of a lab in a process of its own: `guest_subject.py LAB CELL OUT [NAME=VALUE…]`.

It does what a recipe does in the cell of a study, `STUDY/KEY`, and what it ends with is written to OUT. A
cell `holder` holds the lab instead. With `stay=1` it stays when its run rests, until the run is finished;
`state` is the database of a shared lab; names in capitals go into the environment.
"""

import json
import os
import sys
import time
from pathlib import Path

from torch import nn

import flnb
from flnb import tasks
from flnb.core.errors import FLBaseError
from flnb.core.view import Status
from flnb.store import shared_lease
from tests.e2e.victims import await_


def task():
    return tasks.digits(model="softmax", split=flnb.IID(clients=6, seed=0))


class Unhurried(nn.Sequential):
    """Takes its time to train, and none of a core."""

    def __init__(self):
        super().__init__(nn.Flatten(), nn.Linear(64, 10))

    def forward(self, images):
        time.sleep(0.02)
        return super().forward(images)


def unhurried():
    return flnb.Task(model=Unhurried, data=task().data)


def plan(rounds=5):
    local = flnb.Local(epochs=1, batch_size=32, lr=0.1)
    return flnb.Plan(
        strategy=flnb.FedAdam(local=local), rounds=rounds, invite=4, seed=1, commit_every=1
    )


def recipe(lab, state="", rounds=5, workers=0, stay=0):
    with flnb.Coordinator(flnb.open(lab, state or None)) as coordinator:
        the_task = task()
        coordinator.simulate(the_task, workers=workers)
        run = coordinator.run(plan(rounds), the_task).wait()
        if stay:
            await_(lambda: coordinator.lab.run(run.id).status is Status.FINISHED, "it rests on")
        return {
            "run": run.name,
            "status": run.status,
            "parameters": run.parameters_sha256,
            "rounds": [row["round"] for row in run.rounds],
            "lab": len(coordinator.sql("SELECT * FROM rounds")),
        }


def main():
    lab, cell, out = sys.argv[1:4]
    options = dict(argument.split("=", 1) for argument in sys.argv[4:])
    os.environ |= {name: value for name, value in options.items() if name.isupper()}
    settings = {
        name: int(value) if value.isdigit() else value
        for name, value in options.items()
        if not name.isupper()
    }
    shared_lease.LEASE_S = float(settings.pop("lease_s", shared_lease.LEASE_S))
    if cell != "holder":
        os.environ |= {"FLNB_STUDY_CELL": cell, "FLNB_STUDY_LAB": lab}
    try:
        said = recipe(lab, **settings)
    except FLBaseError as error:
        said = {"error": type(error).__name__, "said": str(error)}
    draft = Path(f"{out}.draft")
    draft.write_text(json.dumps(said))
    draft.rename(out)


if __name__ == "__main__":
    main()
