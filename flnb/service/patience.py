"""The server's end of a line that asks: who does not finish asking, or does not read, is cut off.

uvicorn waits for ever for the first request, for the rest of a head, and for whoever does not read what
was answered: each would keep a file open, and one that downloads a place, too.
"""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

_LOOK_S = 15.0
"""A line on which no request begins between two looks is cut off."""
_STILL_LOOKS = 4
"""So is one of which nothing was read between so many: a slow reader takes some hundred KB at a time."""


class Patient(H11Protocol):
    """As uvicorn has it, but not for ever."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn
        """Somebody is there."""
        super().connection_made(transport)
        self._answered: RequestResponseCycle | None = None
        self._idle, self._unsent, self._still = True, 0, 0
        self._looking = self.loop.call_later(_LOOK_S, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody is."""
        self._looking.cancel()
        super().connection_lost(exc)

    def _look(self) -> None:
        if self.transport.get_protocol() is not self:
            return  # it is a WebSocket by now
        cycle: RequestResponseCycle | None = self.cycle
        idle = cycle is None or cycle.response_complete
        asks_nothing = idle and self._idle and cycle is self._answered
        unsent = self.transport.get_write_buffer_size()
        self._still = self._still + 1 if unsent and unsent == self._unsent else 0
        if (asks_nothing and not unsent) or self._still >= _STILL_LOOKS:
            self.transport.abort()
            return
        self._answered, self._idle, self._unsent = cycle, idle, unsent
        self._looking = self.loop.call_later(_LOOK_S, self._look)
