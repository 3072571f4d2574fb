"""Sessions that do nothing but live: `python -m benchmarks.idle_crowd MODEL CLIENTS`.

As light as a client can be (the coordinator is measured, not they), but real: each joins, signs
in, has a connection of its own, is silent as clients are of whom nothing is expected, and notes
when it hears of work. The first line of its orders holds the invites. Each further one is answered with
the moments at which sessions heard of work last (on the machine's own clock).
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from benchmarks.both_sides import task_of
from benchmarks.processes import tell
from flnb.client.ownership import About
from flnb.core.errors import UnreachableError
from flnb.transport import Identity, Link
from flnb.transport.invite import Invite
from flnb.transport.session_call import SessionCall

Answer = TypeVar("Answer")

_AT_ONCE = 16
"""Clients that join at a time: the coordinator would let the others wait, or refuse them."""


class Crowd:
    """Sessions on one loop.

    Args:
        about: What each says of its task.
    """

    def __init__(self, about: About) -> None:
        self._about = about
        self._gate = asyncio.Semaphore(_AT_ONCE)
        self._living: list[asyncio.Task[None]] = []
        self.heard: dict[str, float] = {}
        """Client to when it heard of work last."""

    async def come(self, invite: Invite) -> None:
        """Join and stay; returns once the coordinator says welcome."""
        async with self._gate:
            link, identity = Link(invite.address), Identity.create()
            client, lab = await _patiently(lambda: link.join(invite.token, identity))
            access = await _patiently(lambda: link.sign_in(client, lab, identity))
            call = link.session(access.token)
            await call.write(self._about.hello([]))
            await anext(call)
        self._living.append(asyncio.create_task(self._listen(client, call)))

    async def go(self) -> None:
        """Hang up."""
        for task in self._living:
            task.cancel()
        await asyncio.wait(self._living)

    async def _listen(self, client: str, call: SessionCall) -> None:
        async for note in call:
            if note.HasField("assignment"):
                self.heard[client] = time.monotonic()


async def _patiently(ask: Callable[[], Awaitable[Answer]]) -> Answer:
    """Ask until there is an answer: so many who come at once are told to wait."""
    while True:
        try:
            return await ask()
        except UnreachableError:
            await asyncio.sleep(0.2)


async def obey(model: str, clients: int) -> None:
    """Be here, and tell what was heard, until there are no more orders."""
    loop = asyncio.get_running_loop()
    about = About("mnist-shaped", task_of(model, clients).layout.hash, "", n_examples=1)
    crowd = Crowd(about)
    with ThreadPoolExecutor(1) as reading:
        order = json.loads(await loop.run_in_executor(reading, sys.stdin.readline))
        await asyncio.gather(*(crowd.come(Invite.parse(text)) for text in order["invites"]))
        tell(kind="here", clients=len(order["invites"]))
        while await loop.run_in_executor(reading, sys.stdin.readline):
            tell(moments=list(crowd.heard.values()))
    await crowd.go()


if __name__ == "__main__":
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    asyncio.run(obey(sys.argv[1], int(sys.argv[2])))
