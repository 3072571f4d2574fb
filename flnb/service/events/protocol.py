"""The server's end of a WebSocket, which cuts off whoever does not even read its goodbye."""

from __future__ import annotations

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

_LINGER_S = 5.0


class Sockets(WebSocketsSansIOProtocol):
    """As uvicorn has it, but for the end.

    A socket that nobody reads from would stay until TCP gives up, with all that was to be sent.
    """

    async def run_asgi(self) -> None:
        """Run the app, and do not wait for ever until what it sent was read."""
        try:
            await super().run_asgi()
        finally:
            self.loop.call_later(_LINGER_S, self.transport.abort)
