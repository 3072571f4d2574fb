"""The service as a process: `flnb.coordinator.serving` starts it, and it ends with the pipe it reads.

Its first line on standard input is `ServiceSettings`; each further one brings newer tokens. The socket
is inherited, open: while a service that died is started again, callers wait, and nobody else can
take its port.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import sys
from collections.abc import Iterator

import uvicorn

from flnb.service.app import make_app
from flnb.service.events.protocol import Sockets
from flnb.service.gateway import Gateway
from flnb.service.logs import configure
from flnb.service.patience import Patient
from flnb.service.settings import ServiceSettings

_GRACE_S = 2
_MESSAGE_BYTES = 64 * 1024


class _Server(uvicorn.Server):
    """Leaves signals alone: whoever started this process ends it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


async def serve(settings: ServiceSettings) -> None:
    """Serve until standard input ends.

    Args:
        settings: Whom to ask, where, and whom to let in.
    """
    gateway = Gateway(settings)
    config = uvicorn.Config(
        make_app(gateway, settings),
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        http=Patient,
        ws=Sockets,
        ws_max_size=_MESSAGE_BYTES,
        ws_per_message_deflate=False,  # each socket would pack the same bytes again
        ssl_certfile=settings.tls or None,
        timeout_graceful_shutdown=_GRACE_S,
    )
    server = _Server(config)
    listening = socket.socket(fileno=settings.fd)
    following = asyncio.create_task(_follow(gateway, server), name="flnb-pipe")
    try:
        await server.serve([listening])
    finally:
        following.cancel()
        await gateway.close()


async def _follow(gateway: Gateway, server: uvicorn.Server) -> None:
    """Take newer tokens; the end of the pipe is the end."""
    lines = asyncio.StreamReader()
    reads = asyncio.StreamReaderProtocol(lines)
    await asyncio.get_running_loop().connect_read_pipe(lambda: reads, sys.stdin)
    try:
        while line := await lines.readline():
            told = json.loads(line)
            gateway.viewer, gateway.operator = told["viewer"], told["operator"]
    finally:  # whatever came over it, nobody listens to a pipe that is not read any more
        server.should_exit = True


def main() -> None:
    """Read the settings, then serve."""
    with open(sys.stdin.fileno(), "rb", buffering=0, closefd=False) as pipe:
        line = pipe.readline()  # not a byte more: what follows is read elsewhere
    if line:
        settings = ServiceSettings(**json.loads(line))
        configure(as_json=settings.json_logs)
        asyncio.run(serve(settings))


if __name__ == "__main__":
    main()
