"""A coordinator in a process of its own: `service.py LAB MODEL ROUNDS CLIENTS [LEASE_S HOLD_S]`.

It begins a run, or goes on with the one that is there. With LEASE_S clients must be heard that
often; for HOLD_S the interpreter lock is held in the second round, as by a call into C.
"""

import ctypes
import sys
import time
from functools import partial

import flnb
import flnb.transport
from flnb.core.errors import NotFoundError
from tests.e2e.remote_client import plan, task

NAME = "first"


def main():
    lab, model, rounds, clients = sys.argv[1:5]
    lease_s, hold_s = map(int, sys.argv[5:] or (120, 0))
    every_s = min(10.0, lease_s / 6)
    flnb.transport.Limits = partial(flnb.transport.Limits, lease_s=lease_s, alive_every_s=every_s)
    learning = task(model, int(clients))
    with flnb.Coordinator(lab) as coordinator:
        coordinator.listen()
        try:
            run = coordinator.lab.resume(NAME, task=learning)
        except NotFoundError:  # killed before there was one
            wanted = plan(rounds=int(rounds), invite=int(clients), commit_every=1)
            run = coordinator.run(wanted, learning, name=NAME)
        if hold_s:
            while not (run.view.round and run.view.invited):
                time.sleep(0.01)
            time.sleep(0.3)  # clients train now
            ctypes.PyDLL(None).sleep(hold_s)
        run.wait()


if __name__ == "__main__":
    main()
