"""A gRPC server that a call with an odd path does not end.

grpcio 1.85 reads the path of a call that it has no handler for as UTF-8 in the loop that takes all
calls. A path that is not ends that loop, and with it the server: one packet of a stranger would
free the port. So all methods are registered, which spares gRPC the look at their paths, and every
other call is answered here, unread, with UNIMPLEMENTED.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, cast

from grpc import aio
from grpc._cython import cygrpc
from grpc.aio._server import Server as PlainServer

_EXPECTED = ("method_name", "method_resolver", "interceptors", "rpc_state", "loop")
_NOBODY = "a method that there is not"


class _NoHandler:
    """Finds no handler, whatever is asked for."""

    def resolve_handler(self, _details: object) -> None:
        return None


class _Core(cygrpc.AioServer):  # type: ignore[misc]  # compiled, without types
    """Takes calls; those without a registered handler never reach the loop that reads paths."""

    async def _request_call(self) -> None:
        loop = asyncio.get_running_loop()
        answering: set[asyncio.Task[None]] = set()
        while True:  # until the server ends, which raises
            call = await super()._request_call()
            answer = cygrpc._handle_rpc(_NOBODY, _NoHandler(), (), call, loop, False)
            task = loop.create_task(cygrpc._schedule_rpc_coro(answer, call, loop, _NOBODY))
            answering.add(task)
            task.add_done_callback(answering.discard)


class _Server(PlainServer):
    def __init__(self, options: Sequence[tuple[str, Any]], most_calls: int) -> None:
        self._loop = cygrpc.get_working_loop()
        self._server = _Core(self._loop, None, (), (), tuple(options), most_calls)


def sturdy_server(options: Sequence[tuple[str, Any]], most_calls: int) -> aio.Server:
    """Make a server; its methods must be registered, generic handlers are not asked.

    Args:
        options: What gRPC is told.
        most_calls: How many calls may be open at once.

    Returns:
        The server, not started. With a grpcio whose inside is another one it is a plain one, which
        finds registered methods too.
    """
    if cygrpc._handle_rpc.__code__.co_varnames[: len(_EXPECTED)] != _EXPECTED:
        return aio.server(options=options, maximum_concurrent_rpcs=most_calls)
    return cast("aio.Server", _Server(options, most_calls))
