"""A coordinator in its own process, with a run that takes its time: LAB RUN ROUNDS SECONDS.

Holds the lab, listens, starts the run or goes on with it, says "ready", and ends with its input.
"""

import sys
import time

import torch
from sklearn.datasets import load_digits
from torch import nn

import flnb
from flnb.core.errors import NotFoundError

ODD_NAMES = ("<script>alert(1)</script>", "n" * 200, "Öl & Gas 🐙", "c-plain")


class Slow(nn.Sequential):
    """Takes a while for each step of training."""

    pause_s = 0.0

    def forward(self, x):
        if self.training:
            time.sleep(self.pause_s)
        return super().forward(x)


def model(pause_s):
    made = Slow(nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10))
    made.pause_s = pause_s
    return made


def task_of(pause_s=0.0):
    x, y = load_digits(return_X_y=True)
    x, y = (x / 16).astype("float32"), y.astype("int64")
    clients = 20
    names = [*ODD_NAMES, *(f"c{index:02d}" for index in range(clients - len(ODD_NAMES)))]
    ids = [names[index % clients] for index in range(1440)]
    return flnb.Task(
        model=lambda: model(pause_s),
        train=(x[:1440], y[:1440]),
        test=(x[1440:], y[1440:]),
        split=flnb.NaturalId().split(y[:1440], ids),
    )


def plan_of(rounds):
    local = flnb.Local(lr=0.1, batch_size=64)
    return flnb.Plan(
        strategy=flnb.FedAvg(local=local),
        rounds=rounds,
        invite=10,
        need=2,  # one in five drops out, and the run must go on for as long as somebody looks
        commit_every=1,
        seed=7,
    )


def main(lab, name, rounds, pause_s):
    torch.set_num_threads(1)
    task = task_of(float(pause_s))
    with flnb.Coordinator(flnb.open(lab)) as coordinator:
        coordinator.listen()
        coordinator.simulate(task, drop=0.2, workers=1)
        try:
            coordinator.resume(name, task)
        except NotFoundError:
            coordinator.run(plan_of(int(rounds)), task, name=name)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
