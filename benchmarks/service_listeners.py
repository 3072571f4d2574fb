"""Five hundred WebSocket clients in a process of their own: `python -m benchmarks.service_listeners URL TOKEN N`.

They listen until they are told to stop, then say what each heard, and how late.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import time
from datetime import datetime

import websockets

from benchmarks.processes import tell

_A_SECOND = 60
"""So many come in a second: a service counts who comes from one address."""


class Listener:
    """What one client heard."""

    def __init__(self) -> None:
        self.rounds: list[int] = []
        self.late_s: list[float] = []

    async def listen(self, url: str, token: str, ready: asyncio.Event) -> None:
        """Listen for ever."""
        async with websockets.connect(
            url, proxy=None, compression=None, max_size=None, open_timeout=60
        ) as socket:
            await socket.send(json.dumps({"type": "hello", "token": token}))
            await socket.recv()
            ready.set()
            async for text in socket:
                now_s = time.time()
                event = json.loads(text)
                if event["type"] == "round_complete":
                    closed_at = datetime.fromisoformat(event["data"]["closed_at"])
                    self.rounds.append(event["data"]["round"])
                    self.late_s.append(now_s - closed_at.timestamp())


async def listen(url: str, token: str, count: int) -> None:
    """Let so many listen; the first line on standard input begins to count, the second ends it."""
    listeners, readies = [Listener() for _ in range(count)], [asyncio.Event() for _ in range(count)]
    tasks = []
    for listener, ready in zip(listeners, readies, strict=True):
        tasks.append(asyncio.create_task(listener.listen(url, token, ready)))
        await asyncio.sleep(1 / _A_SECOND)
    await asyncio.gather(*(ready.wait() for ready in readies))
    tell(ready=count)
    await asyncio.to_thread(sys.stdin.readline)
    for listener in listeners:
        listener.rounds.clear()
        listener.late_s.clear()
    await asyncio.to_thread(sys.stdin.readline)
    await asyncio.sleep(2.0)
    dropped = sum(task.done() for task in tasks)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    tell(
        rounds=[listener.rounds for listener in listeners],
        late_s=[late_s for listener in listeners for late_s in listener.late_s],
        dropped=dropped,
    )


def main(url: str, token: str, count: str) -> None:
    """Listen."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    asyncio.run(listen(url, token, int(count)))


if __name__ == "__main__":
    main(*sys.argv[1:])
