"""The way to an S3 server, with faults: an HTTP proxy that is cut, loses an answer, or drops headers.

The requests of clients pass it unchanged otherwise, so what answers is a real server.
"""

from __future__ import annotations

import asyncio
import threading

HEAD_BYTES = 64 * 1024
PIECE_BYTES = 64 * 1024
CONDITIONS = (b"if-match:", b"if-none-match:")


class Line:
    """Forwards requests to a server on a port of this machine, in a thread of its own.

    `deaf`: whether conditions are taken out of requests, as by a server that does not know them.
    """

    def __init__(self, port: int) -> None:
        self._to, self.deaf = port, False
        self._cut, self._lost = False, b""
        self._writers: set[asyncio.StreamWriter] = set()
        self._links: set[asyncio.Task] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="line", daemon=True)
        self._thread.start()
        self.port: int = self._do(self._open())

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def cut(self) -> None:
        """Tear every connection, and each new one."""
        self._do(self._set_cut(True))

    def mend(self) -> None:
        """Let connections through again."""
        self._do(self._set_cut(False))

    def lose_answer(self, sign: bytes) -> None:
        """Forward the next request whose first line holds this, and tear instead of answering."""
        self._lost = sign

    @property
    def waits_for_loss(self) -> bool:
        """Whether the request whose answer is to be lost has not come yet."""
        return bool(self._lost)

    def close(self) -> None:
        self._do(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _do(self, work):
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    # --- on the loop

    async def _open(self) -> int:
        self._server = await asyncio.start_server(self._accepted, "127.0.0.1", 0, limit=HEAD_BYTES)
        return self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        self._server.close()
        await self._set_cut(True)
        links = tuple(self._links)
        for link in links:
            link.cancel()
        await asyncio.gather(*links, return_exceptions=True)

    async def _set_cut(self, cut: bool) -> None:
        self._cut = cut
        for writer in tuple(self._writers) if cut else ():
            writer.transport.abort()

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        self._links.add(task)
        self._writers.add(writer)
        try:
            if not self._cut:
                await self._link(reader, writer)
        except (OSError, EOFError, asyncio.CancelledError):
            pass  # one of both sides is done, or torn: that is what it is for
        finally:
            writer.transport.abort()
            self._writers.discard(writer)
            self._links.discard(task)

    async def _link(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers, there = await asyncio.open_connection("127.0.0.1", self._to)
        doomed = asyncio.Event()
        pumps = [
            asyncio.create_task(self._requests(reader, writer, there, doomed)),
            asyncio.create_task(_answers(answers, writer, doomed)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            there.transport.abort()

    async def _requests(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        there: asyncio.StreamWriter,
        doomed: asyncio.Event,
    ) -> None:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n"))[:-4].split(b"\r\n")
            fields = {line.lower().partition(b":")[0]: line.partition(b":")[2] for line in head[1:]}
            if b"expect" in fields:
                writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            dropped = (b"expect:", *(CONDITIONS if self.deaf else ()))
            if self._lost and self._lost in head[0]:
                self._lost = b""
                doomed.set()
            passed = [line for line in head if not line.lower().startswith(dropped)]
            there.write(b"\r\n".join(passed) + b"\r\n\r\n")
            left = int(fields.get(b"content-length", 0))
            while left:
                piece = await reader.read(min(left, PIECE_BYTES))
                if not piece:
                    return
                there.write(piece)
                await there.drain()
                left -= len(piece)


async def _answers(
    answers: asyncio.StreamReader, writer: asyncio.StreamWriter, doomed: asyncio.Event
) -> None:
    while data := await answers.read(PIECE_BYTES):
        if doomed.is_set():
            return
        writer.write(data)
        await writer.drain()
