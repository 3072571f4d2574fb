"""Open pages without browsers: `python -m benchmarks.pages_sessions ADDRESS COOKIE VALUE`.

A session does what a browser does with the wire: it asks for the document with the cookie, opens
the socket with the token in it, pulls the model, says that the document is ready, and reads. It
obeys whoever measures, line by line.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from typing import Any

import httpx
import websockets

from benchmarks.processes import tell

_TOKEN = re.compile(r'"token":\s*"([^"]+)"')
_READY = {
    "kind": "MessageSent",
    "msg_type": "bokeh_event",
    "msg_data": {"type": "event", "name": "document_ready", "values": {"type": "map"}},
}
_PATIENCE_S = 60.0
_AT_ONCE = 3
"""So many open together; a server with one thread builds one page after the other anyway."""


class Session:
    """One open page, and what came over its socket."""

    def __init__(self) -> None:
        self.bytes, self.first_bytes, self.heard_s = 0, 0, 0.0
        self.heard = asyncio.Event()
        self._socket: websockets.ClientConnection | None = None
        self._reading: asyncio.Task[None] | None = None

    async def open(self, http: httpx.AsyncClient, address: str, path: str) -> None:
        """Get the document and its model, and listen from then on."""
        answer = await http.get(f"{address}{path}")
        found = _TOKEN.search(answer.raise_for_status().text)
        assert found is not None, f"{path} is no page: {answer.text[:200]}"
        place, cookie = path.partition("?")[0], next(iter(http.cookies.jar))
        self._socket = await websockets.connect(
            f"{address.replace('http', 'ws', 1)}{place + '/' if place else ''}ws",
            subprotocols=[websockets.Subprotocol(name) for name in ("bokeh", found[1])],
            additional_headers={"Cookie": f"{cookie.name}={cookie.value}"},
            origin=websockets.Origin(address.rstrip("/")),
            compression=None,
            open_timeout=_PATIENCE_S,
            max_size=None,
            ping_interval=None,  # browsers send none, and wait for a server that is busy
            proxy=None,
        )
        await self._read_one()  # that the socket was taken
        await self._say("PULL-DOC-REQ", {})
        self.first_bytes = await self._read_one()
        await self._say("PATCH-DOC", {"events": [_READY]})
        self._reading = asyncio.create_task(self._read())

    @property
    def alive(self) -> bool:
        """Whether its socket is open."""
        return self._reading is not None and not self._reading.done()

    async def close(self) -> None:
        """Go away, as a tab that is closed."""
        assert self._socket is not None, "it was opened"
        await self._socket.close()
        if self._reading is not None:
            await self._reading

    async def _say(self, kind: str, content: dict[str, Any]) -> None:
        assert self._socket is not None, "it was opened"
        for part in ({"msgid": kind, "msgtype": kind}, {}, content):
            await self._socket.send(json.dumps(part))

    async def _read_one(self) -> int:
        assert self._socket is not None, "it was opened"
        return sum([len(await self._socket.recv()) for _ in range(3)])  # head, metadata, content

    async def _read(self) -> None:
        assert self._socket is not None, "it was opened"
        async for part in self._socket:
            self.bytes += len(part)
            self.heard_s = time.monotonic()
            self.heard.set()


class Sessions:
    """Obeys one order after the other.

    Args:
        http: Has the cookie.
        address: Of the pages.
    """

    def __init__(self, http: httpx.AsyncClient, address: str) -> None:
        self._http, self._address = http, address
        self._open: list[Session] = []

    async def open(self, count: int, path: str) -> dict[str, Any]:
        """Open so many more pages."""
        began_s, new = time.perf_counter(), [Session() for _ in range(count)]
        for first in range(0, count, _AT_ONCE):
            some = new[first : first + _AT_ONCE]
            await asyncio.gather(*(one.open(self._http, self._address, path) for one in some))
        self._open += new
        return {
            "seconds": time.perf_counter() - began_s,
            "first_bytes": max(one.first_bytes for one in new),
        }

    async def count(self, quiet_s: float = 10.0) -> dict[str, Any]:
        """Say what came since the last count, and how many heard something lately."""
        counted, now_s = [one.bytes for one in self._open], time.monotonic()
        for one in self._open:
            one.bytes = 0
        lately = [one for one in self._open if one.alive and now_s - one.heard_s < quiet_s]
        return {"bytes": counted, "alive": len(lately)}

    async def watch(self, seconds: float) -> dict[str, Any]:
        """Listen for a while, and say what came meanwhile."""
        await self.count()
        await asyncio.sleep(seconds)
        return await self.count()

    async def close(self) -> dict[str, Any]:
        """Close all of them."""
        closing, self._open = self._open, []
        await asyncio.gather(*(one.close() for one in closing))
        return {}

    async def cycle(self, times: int, path: str) -> dict[str, Any]:
        """Open a page, look at it and close it, again and again."""
        for _ in range(times):
            session = Session()
            await session.open(self._http, self._address, path)
            await session.heard.wait()
            await session.close()
        return {}


async def obey(address: str, cookie: str, value: str) -> None:
    """Do what is said until there is no more."""
    async with httpx.AsyncClient(timeout=_PATIENCE_S, cookies={cookie: value}) as http:
        sessions = Sessions(http, address)
        tell(ready=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            order = json.loads(line)
            tell(**await getattr(sessions, order.pop("do"))(**order))


if __name__ == "__main__":
    asyncio.run(obey(*sys.argv[1:]))
