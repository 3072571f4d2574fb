"""Raw bytes over `grpc.aio` in chunks of 256 KiB, with nothing else: what the wire alone can do.

Every chunk is another one, as those of a model are: one that is sent again and again would come
from the processor's cache.

`python -m benchmarks.bare_stream serve` and `… use ADDRESS` are the two ends, each in a process of
its own; nothing is checked, hashed or kept, and gRPC has its own settings.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

import grpc
import numpy as np
from grpc import aio

from benchmarks.processes import Process, tell
from flnb.transport import CHUNK_BYTES

_NAME = "benchmark.Bare"


class Bare:
    """One end that serves and some that use it.

    Args:
        users: Processes that send and fetch.
    """

    def __init__(self, users: list[Process]) -> None:
        self._users = users

    def seconds(self, way: str, n_bytes: int) -> float:
        """How long all users together take for so many bytes each.

        Args:
            way: `up` or `down`.
            n_bytes: Of each.
        """
        began_s = time.perf_counter()
        for user in self._users:
            user.say(way=way, n_bytes=n_bytes)
        took_s = [float(user.hear()["seconds"]) for user in self._users]
        return took_s[0] if len(took_s) == 1 else time.perf_counter() - began_s


@contextlib.contextmanager
def bare(users: int) -> Iterator[Bare]:
    """Start both ends; they are gone at the end of the block."""
    with contextlib.ExitStack() as up:
        server = up.enter_context(Process("benchmarks.bare_stream", "serve"))
        address = server.hear()["address"]
        yield Bare(
            [
                up.enter_context(Process("benchmarks.bare_stream", "use", address))
                for _ in range(users)
            ]
        )


@lru_cache(1)
def _content(chunks: int) -> list[bytes]:
    random = np.random.default_rng(0)
    return [random.bytes(CHUNK_BYTES) for _ in range(chunks)]


async def serve() -> None:
    """Take and give bytes until there are no more orders."""
    server = aio.server()
    server.add_generic_rpc_handlers(
        (
            grpc.method_handlers_generic_handler(
                _NAME,
                {
                    "Up": grpc.stream_unary_rpc_method_handler(_take),
                    "Down": grpc.unary_stream_rpc_method_handler(_give),
                },
            ),
        )
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    tell(address=f"127.0.0.1:{port}")
    await asyncio.to_thread(sys.stdin.read)
    await server.stop(None)


async def use(address: str) -> None:
    """Send and fetch as told; each line of orders is a way and a number of bytes."""
    ways: dict[str, Callable[..., Any]] = {"up": _send, "down": _fetch}
    async with aio.insecure_channel(address) as channel:
        with ThreadPoolExecutor(1) as reading:
            loop = asyncio.get_running_loop()
            while line := await loop.run_in_executor(reading, sys.stdin.readline):
                order = json.loads(line)
                chunks = -(-order["n_bytes"] // CHUNK_BYTES)
                _content(chunks)
                began_s = time.perf_counter()
                await ways[order["way"]](channel, chunks)
                tell(seconds=time.perf_counter() - began_s)


async def _take(requests: AsyncIterator[bytes], _context: Any) -> bytes:
    async for _ in requests:
        pass
    return b""


async def _give(request: bytes, _context: Any) -> AsyncIterator[bytes]:
    for chunk in _content(int(request)):  # made with the first of a series, which is not counted
        yield chunk


async def _send(channel: aio.Channel, chunks: int) -> None:
    call: Any = channel.stream_unary(f"/{_NAME}/Up")()
    for chunk in _content(chunks):
        await call.write(chunk)
    await call.done_writing()
    await call


async def _fetch(channel: aio.Channel, chunks: int) -> None:
    start: Any = channel.unary_stream(f"/{_NAME}/Down")
    async for _ in start(str(chunks).encode()):
        pass


if __name__ == "__main__":
    asyncio.run(serve() if sys.argv[1] == "serve" else use(sys.argv[2]))
