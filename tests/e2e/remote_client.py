"""A client in a process of its own, for tests: `python remote_client.py INVITE HOME MODEL CLIENTS [delay_s]`."""

import sys
import time
from pathlib import Path

from torch import nn

import flnb
from flnb.client import Client
from flnb.core.plan import Local


class Wide(nn.Sequential):
    """Sixty-four inputs, ten classes, 1.2 MB."""

    def __init__(self):
        super().__init__(nn.Flatten(), nn.Linear(64, 4000), nn.ReLU(), nn.Linear(4000, 10))


def task(model, clients):
    """The task that both sides make."""
    if model == "wide":  # several chunks: about 1 MB
        return flnb.Task(
            model=Wide,
            data=flnb.tasks.digits(split=flnb.IID(clients=clients, seed=0)).data,
        )
    return flnb.tasks.digits(model=model, split=flnb.IID(clients=clients, seed=0))


def plan(rounds=5, invite=2, **changes):
    local = Local(epochs=1, batch_size=32, lr=0.1)
    return flnb.Plan(
        strategy=flnb.FedAvg(local=local), rounds=rounds, invite=invite, seed=1, **changes
    )


def slowly(delay_s):
    """Let every training take longer, without holding the interpreter lock."""
    import flnb.training

    if not delay_s:
        return
    quick = flnb.training.local_sgd

    def slow(*arguments):
        time.sleep(delay_s)
        return quick(*arguments)

    slow.__module__ = "flnb.training"  # or the client would not run it
    flnb.training.local_sgd = slow


def main():
    invite, home, model, clients = sys.argv[1:5]
    slowly(float(sys.argv[5]) if len(sys.argv) > 5 else 0.0)

    def tell(event):
        print(event.kind, event.text.replace("\n", " | "), flush=True)

    Client(invite, task(model, int(clients)), home=Path(home), on_event=tell).run()


if __name__ == "__main__":
    main()
