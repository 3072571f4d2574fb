"""Lines on which nothing is asked, or nothing read, are cut off; real sockets."""

import asyncio
import socket

import pytest
import uvicorn

from flnb.service import patience

HEAD = b"GET / HTTP/1.1\r\nHost: here\r\n"
LONG = b"x" * 20_000_000


def answers(answered):
    """An app that says when all of an answer is sent, or nobody is there any more."""

    async def app(scope, _, send):
        body = LONG if scope["path"] == "/long" else b"short"
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
        answered.set()

    return app


async def on_a_line(talk):
    """Talk with a server over one line; says what came of it."""
    answered = asyncio.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        config = uvicorn.Config(
            answers(answered), http=patience.Patient, lifespan="off", log_config=None
        )
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server._serve([listening]))
        reader, writer = await asyncio.open_connection(*listening.getsockname(), limit=1024)
        try:
            async with asyncio.timeout(20):
                return await talk(reader, writer, answered)
        finally:
            writer.transport.abort()
            server.should_exit = True
            await serving


@pytest.fixture(autouse=True)
def _soon(monkeypatch):
    monkeypatch.setattr(patience, "_LOOK_S", 0.2)


@pytest.mark.parametrize("begun", [b"", HEAD, HEAD + b"\r\n"])
def test_who_asks_nothing_or_never_comes_to_an_end_is_cut_off(begun):
    async def talk(reader, writer, _):
        writer.write(begun)
        if begun.endswith(b"\r\n\r\n"):
            await reader.readuntil(b"short")
            writer.write(HEAD)
        return await reader.read()

    assert b"short" not in asyncio.run(on_a_line(talk))


def test_who_reads_nothing_of_an_answer_is_cut_off():
    async def talk(reader, writer, answered):
        reader._transport.pause_reading()
        writer.write(HEAD.replace(b"/", b"/long", 1) + b"\r\n")
        return await answered.wait()

    assert asyncio.run(on_a_line(talk))


def test_who_asks_again_and_again_stays():
    async def talk(reader, writer, _):
        for _ in range(10):
            writer.write(HEAD + b"\r\n")
            await reader.readuntil(b"short")
            await asyncio.sleep(0.1)
        return True

    assert asyncio.run(on_a_line(talk))
