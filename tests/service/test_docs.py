"""The listener in Python of docs/events.md, as it is written there."""

import asyncio
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import websockets
from websockets.asyncio.server import serve

from tests.service.conftest import token_in

DOCS = Path(__file__).parents[2] / "docs" / "events.md"


class Enough(Exception):  # ends the listener
    """What was waited for was heard."""


@pytest.fixture(scope="module")
def listen():
    """The function of the page."""
    blocks = re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL)
    (code,) = (one for one in blocks if "def listen" in one)
    names = {"__name__": "listener"}
    exec(code, names)  # our own page
    return names["listen"]


@pytest.fixture
def url(coord):
    return f"ws{coord.http[4:]}/ws/events"


def test_the_listener_of_the_page_hears_rounds_and_goes_on_after_a_cursor(
    coord, listen, url, plan, task
):
    coord.run(plan, task, name="first").wait(60)
    heard = []

    def take(event):
        heard.append(event)
        if event["type"] == "round_complete" and event["data"]["round"] == 4:
            raise Enough

    token = token_in(coord.lab, "listener", "viewer")
    with pytest.raises(Enough):
        asyncio.run(listen(url, token, take, f"0.0.{coord.lab.id}"))
    rounds = [one for one in heard if one["type"] == "round_complete"]
    assert [one["data"]["round"] for one in rounds] == [1, 2, 3, 4]


def test_the_listener_of_the_page_does_not_come_back_with_a_bad_token(listen, url):
    with pytest.raises(PermissionError, match="refused"):
        asyncio.run(listen(url, "nonsense", print))


def meet(listen, hear=None, refuse=None):
    """Let the listener of the page come to a server that is not ours."""

    async def meet_there():
        async with serve(hear, "127.0.0.1", 0, process_request=refuse) as server:
            port = server.sockets[0].getsockname()[1]
            await listen(f"ws://127.0.0.1:{port}", "token", print)

    asyncio.run(meet_there())


def test_the_listener_of_the_page_comes_back_when_it_came_too_often(listen, monkeypatch):
    monkeypatch.setitem(listen.__globals__, "random", SimpleNamespace(random=lambda: -0.45))
    left = [403, 503, 429]
    with pytest.raises(websockets.InvalidStatus) as refused:
        meet(listen, refuse=lambda there, _: there.respond(left.pop(), "no\n"))
    assert (refused.value.response.status_code, left) == (403, [])


def test_the_listener_of_the_page_does_not_say_again_what_nobody_understood(listen):
    with pytest.raises(PermissionError, match="what is that"):
        meet(listen, hear=lambda there: there.close(1008, "what is that"))
