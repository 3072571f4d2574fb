"""A way to a port of this machine on which things go wrong: its loop, its connections, their end.

What goes wrong, and how bytes are forwarded, is said by `faults/proxy.py` (gRPC) and `s3/line.py` (HTTP).
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterable
from typing import Any

PIECE_BYTES = 64 * 1024
_TIMEOUT_S = 10

Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]
"""One side of a connection."""


class Relay:
    """Takes connections on loopback, in a thread of its own; `_link` forwards each of them.

    Each new connection is torn at once while `torn` is not zero.
    """

    def __init__(self, port: int, name: str) -> None:
        self._to, self.torn = port, 0
        self._links: set[asyncio.Task] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=name, daemon=True)
        self._thread.start()
        self.port: int = self._do(self._open())

    def close(self) -> None:
        """Tear everything, and leave no thread behind."""
        self._do(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _do(self, work: Coroutine) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_TIMEOUT_S)

    # --- on the loop

    async def _open(self) -> int:
        self._server = await asyncio.start_server(self._accepted, "127.0.0.1", 0)
        return self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        self._server.close()
        self._tear(self._writers)
        await end(self._links)

    def _tear(self, writers: Iterable[asyncio.StreamWriter]) -> None:
        for writer in tuple(writers):
            writer.transport.abort()

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        self._links.add(task)
        self._writers.add(writer)
        there = None
        try:
            if not self.torn:
                answers, there = await asyncio.open_connection("127.0.0.1", self._to)
                self._writers.add(there)
                await self._link((reader, writer), (answers, there))
        except (OSError, EOFError, asyncio.CancelledError):
            pass  # one of both sides is done, or torn: that is what it is for
        finally:
            ends = {writer, there} - {None}
            self._tear(ends)
            self._writers -= ends
            self._links.discard(task)

    async def _link(self, here: Ends, there: Ends) -> None:
        """Forward one connection until one of its sides is done."""
        raise NotImplementedError


async def until_one_ends(*pumps: Coroutine) -> None:
    """Run both ways of a connection until one is done; the other one ends with it."""
    tasks = [asyncio.create_task(pump) for pump in pumps]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await end(tasks)


async def end(tasks: Iterable[asyncio.Task]) -> None:
    """Cancel tasks and wait for their end, whatever it is."""
    ending = tuple(tasks)
    for task in ending:
        task.cancel()
    await asyncio.gather(*ending, return_exceptions=True)
