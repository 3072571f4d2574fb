"""A gRPC server that answers every challenge with the same bytes: `python -m benchmarks.null_server`.

It has a process of its own and nothing else to do. How long it takes for an answer on a busy
machine is what that machine takes, whatever a coordinator does.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import grpc
from grpc import aio

from benchmarks.processes import tell
from flnb.transport.convert import SERVICE
from flnb.transport.v1 import federation_pb2 as pb

_REPLY = pb.ChallengeReply(nonce=bytes(56)).SerializeToString()


async def serve() -> None:
    """Answer until there are no more orders."""

    async def answer(_requests: Any, context: Any) -> None:
        await context.read()
        await context.write(_REPLY)

    server = aio.server()
    handlers: dict[str, Any] = {"Challenge": grpc.stream_stream_rpc_method_handler(answer)}
    server.add_registered_method_handlers(SERVICE, handlers)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    tell(address=f"127.0.0.1:{port}")
    await asyncio.to_thread(sys.stdin.read)
    await server.stop(0)


if __name__ == "__main__":
    asyncio.run(serve())
