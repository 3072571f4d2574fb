"""A coordinator of a shared lab, on a machine of its own: `sharing.py ADDRESS STATE CACHE JUMP_S [NAME=VALUE…]`.

It begins the run, or goes on with it. Its clock jumps when the first round is closed. How it ended is
written to `CACHE.txt`.
"""

import os
import sys
from datetime import timedelta
from pathlib import Path

import flnb
from flnb import tasks
from flnb.core.clock import SystemClock
from flnb.core.errors import FLBaseError
from flnb.store import shared_lease
from tests.e2e.victims import await_

LEASE_S = 2.0
NAME, ROUNDS = "shared", 5


def task():
    return tasks.digits(model="softmax", split=flnb.IID(clients=6, seed=0))


def plan():
    local = flnb.Local(epochs=1, batch_size=32, lr=0.1)
    return flnb.Plan(
        strategy=flnb.FedAdam(local=local), rounds=ROUNDS, invite=4, seed=1, commit_every=1
    )


def main():
    address, state, cache, jump_s = sys.argv[1:5]
    os.environ |= dict(setting.split("=", 1) for setting in sys.argv[5:])
    os.environ["FLNB_CACHE_DIR"] = cache
    shared_lease.LEASE_S = LEASE_S
    ahead, right = [timedelta()], SystemClock.now
    SystemClock.now = lambda self: right(self) + ahead[0]

    def jump(view):
        if view.round:
            ahead[0] = timedelta(seconds=float(jump_s))

    coordinator = flnb.Coordinator(flnb.open(address, state)).start()
    if coordinator.lab.runs():
        run = coordinator.resume(NAME, workers=0)
    else:
        coordinator.simulate(task(), workers=0)
        run = coordinator.run(plan(), task(), name=NAME)
    run.on_change(jump)
    try:
        said = run.wait().parameters_sha256
    except FLBaseError as error:
        await_(lambda: not coordinator.running, "it did not stop itself")
        said = f"{type(error).__name__}: {error}"
    coordinator.stop()
    Path(cache).with_suffix(".txt").write_text(said)


if __name__ == "__main__":
    main()
