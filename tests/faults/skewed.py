"""A client whose wall clock is wrong: `skewed.py HOME HOURS INVITE`."""

import sys
from datetime import timedelta
from pathlib import Path

from flnb.client import Client
from flnb.core.clock import SystemClock
from tests.e2e.remote_client import slowly, task


def main():
    home, hours, invite = sys.argv[1:4]
    right = SystemClock.now
    SystemClock.now = lambda self: right(self) + timedelta(hours=float(hours))
    slowly(0.5)
    with Path(home).with_suffix(".log").open("a", buffering=1) as log:

        def tell(event):
            log.write(f"{event.kind} {event.text}\n")

        Client(invite, task("softmax", 2), home=home, on_event=tell).run()


if __name__ == "__main__":
    main()
