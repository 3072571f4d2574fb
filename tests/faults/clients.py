"""Clients in a process of their own, on one loop: `clients.py HOME MODEL CLIENTS DELAY_S INVITE…`.

A client that is sent away is begun again, as a person would, and its leaving stands in its log.
"""

import asyncio
import sys
import time
from pathlib import Path

from flnb.client import Client
from flnb.core.errors import FLBaseError
from flnb.transport.invite import Invite
from tests.e2e.remote_client import slowly, task


async def stay(invite, home, learning):
    with (home / f"{invite.client}.log").open("a", buffering=1) as log:

        def tell(event):
            text = event.text.replace("\n", " | ")
            log.write(f"{time.monotonic():.2f} {event.kind} {text}\n")

        while True:
            try:
                await Client(invite, learning, home=home / invite.client, on_event=tell).arun()
            except FLBaseError:
                await asyncio.sleep(0.2)


async def main():
    home, model, clients, delay_s = sys.argv[1:5]
    slowly(float(delay_s))
    learning = task(model, int(clients))
    async with asyncio.TaskGroup() as group:
        for text in sys.argv[5:]:
            group.create_task(stay(Invite.parse(text), Path(home), learning))


if __name__ == "__main__":
    asyncio.run(main())
