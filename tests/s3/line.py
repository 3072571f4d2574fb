"""The way to an S3 server, with faults: an HTTP proxy that is cut, loses answers, gives its own, or drops headers.

The requests of clients pass it unchanged otherwise, so what answers is a real server.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from tests.relay import PIECE_BYTES, Ends, Relay, until_one_ends

CONDITIONS = (b"if-match:", b"if-none-match:")
FOR_EVER = 1 << 30


@dataclass
class Refusal:
    """What the line says in place of the server, to so many requests."""

    status: str
    """Code and reason; empty says nothing at all, and keeps the connection."""
    body: bytes = b""
    left: int = FOR_EVER
    sign: bytes = b""
    """Only to requests whose first line holds this."""
    said: int = field(default=0, init=False)
    """To how many it was."""

    def meets(self, first_line: bytes) -> bool:
        """Whether it is the answer to this request."""
        return self.said < self.left and self.sign in first_line


class Line(Relay):
    """Forwards requests to a server on a port of this machine, and counts them.

    `deaf`: whether conditions are taken out of requests, as by a server that does not know them.
    """

    def __init__(self, port: int) -> None:
        self.deaf, self._lost = False, b""
        self._refusal: Refusal | None = None
        self.requests: list[bytes] = []
        """First line of each request that was forwarded."""
        super().__init__(port, "line")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def cut(self) -> None:
        """Tear every connection, and each new one."""
        self._do(self._set_torn(1))

    def mend(self) -> None:
        """Let connections and requests through again."""
        self._refusal = None
        self._do(self._set_torn(0))

    def lose_answer(self, sign: bytes) -> None:
        """Forward the next request whose first line holds this, and tear instead of answering."""
        self._lost = sign

    def refuse(self, refusal: Refusal) -> Refusal:
        """Answer requests with this from now on, and forward none of those."""
        self._refusal = refusal
        return refusal

    @property
    def waits_for_loss(self) -> bool:
        """Whether the request whose answer is to be lost has not come yet."""
        return bool(self._lost)

    # --- on the loop

    async def _set_torn(self, torn: int) -> None:
        self.torn = torn
        self._tear(self._writers if torn else ())

    async def _link(self, here: Ends, there: Ends) -> None:
        doomed = asyncio.Event()
        await until_one_ends(
            self._requests(here, there[1], doomed), _answers(there[0], here[1], doomed)
        )

    async def _requests(
        self, here: Ends, there: asyncio.StreamWriter, doomed: asyncio.Event
    ) -> None:
        reader, writer = here
        while True:
            head = (await reader.readuntil(b"\r\n\r\n"))[:-4].split(b"\r\n")
            fields = {line.lower().partition(b":")[0]: line.partition(b":")[2] for line in head[1:]}
            if b"expect" in fields:
                writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            n_bytes = int(fields.get(b"content-length", 0))
            if self._refusal is not None and self._refusal.meets(head[0]):
                await _body(reader, n_bytes, None)
                _say(self._refusal, writer)
                continue
            self.requests.append(head[0])
            if self._lost and self._lost in head[0]:
                self._lost = b""
                doomed.set()
            dropped = (b"expect:", *(CONDITIONS if self.deaf else ()))
            passed = [line for line in head if not line.lower().startswith(dropped)]
            there.write(b"\r\n".join(passed) + b"\r\n\r\n")
            await _body(reader, n_bytes, there)


def _say(refusal: Refusal, writer: asyncio.StreamWriter) -> None:
    refusal.said += 1
    if refusal.status:
        head = f"HTTP/1.1 {refusal.status}\r\ncontent-length: {len(refusal.body)}\r\n\r\n"
        writer.write(head.encode() + refusal.body)


async def _body(
    reader: asyncio.StreamReader, n_bytes: int, there: asyncio.StreamWriter | None
) -> None:
    """Take the body of a request, and forward it if anybody wants it."""
    while n_bytes:
        piece = await reader.read(min(n_bytes, PIECE_BYTES))
        if not piece:
            raise EOFError
        if there is not None:
            there.write(piece)
            await there.drain()
        n_bytes -= len(piece)


async def _answers(
    answers: asyncio.StreamReader, writer: asyncio.StreamWriter, doomed: asyncio.Event
) -> None:
    while data := await answers.read(PIECE_BYTES):
        if doomed.is_set():
            return
        writer.write(data)
        await writer.drain()
