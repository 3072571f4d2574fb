"""A coordinator in a process of its own, for tests: `python service.py LAB [MODEL]`.

It writes its address, then listens until its input ends. Bounds that a test would run into before
it reaches what it tests are lifted; with a model a run goes on for as long as it lives.
"""

import faulthandler
import signal
import sys

import flnb
import flnb.transport
from tests.e2e.remote_client import task

LIFTED = flnb.transport.Limits(requests_per_s=1e6, failed_joins_per_minute=1e9)


def main():
    faulthandler.register(signal.SIGUSR1)  # for whoever looks into a test that hangs
    lab, model = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else ""
    if model:
        flnb.transport.Limits = lambda: LIFTED
    with flnb.Coordinator(lab) as coordinator:
        address = coordinator.listen()
        if model:
            plan = flnb.Plan(
                strategy="fedavg", rounds=100_000, invite=1, need=1, commit_every=100_000, seed=1
            )
            coordinator.run(plan, task(model, 1), name="bait")
        print(address, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
