"""Who shows another made-up token each time is counted by address; who is known is let through."""

import asyncio
import itertools
import json
import time

import pytest
import websockets
from websockets.sync.client import connect

from flnb.service import strangers
from flnb.service.gateway import Gateway
from flnb.service.strangers import Strangers
from tests.service.conftest import caller, token_in
from tests.service.test_entrance import EVIL, alone


@pytest.fixture
def url(coord):
    return f"ws{coord.http[4:]}/ws/events"


@pytest.fixture
def guess(coord):
    """Asks with a token that nobody gave, another one each time."""
    with caller(coord.http) as stranger:
        numbers = itertools.count()
        yield lambda: stranger.get(
            "/api/runs", headers={"Authorization": f"Bearer made-up-{next(numbers)}"}
        )


def test_tokens_that_are_made_up_are_soon_not_even_looked_at(asks, guess, url, ears, until):
    assert asks("viewer").get("/api/runs").status_code == 200
    answers = [guess() for _ in range(80)]
    assert {one.status_code for one in answers[:30]} == {401}
    late = answers[-1]
    assert (late.status_code, int(late.headers["retry-after"]) > 0) == (429, True)
    assert "your address" in late.json()["error"]["message"]
    assert asks("viewer").get("/api/runs").status_code == 200
    guessed = [ears.open(url, f"made-up-as-well-{number}") for number in range(20)]
    until(lambda: all(ear.code for ear in guessed))
    turned_away = [ear.reason for ear in guessed if ear.code == 1013]
    assert len(turned_away) >= 10  # every two seconds one is looked at again
    assert all("your address" in reason for reason in turned_away)


def test_a_token_that_was_known_and_is_revoked_is_counted_like_any_other(coord):
    token = token_in(coord.lab, "fleeting", "viewer")
    with caller(coord.http, token) as fleeting:
        until_heard(fleeting)
        coord.revoke_token("fleeting")
        codes = [fleeting.get("/api/runs").status_code for _ in range(80)]
    assert (codes[0], codes[-1]) == (401, 429)


class Nobody(Gateway):
    """A gateway that knows no token."""

    def __init__(self):
        pass

    def knows(self, token):
        return False


def test_whoever_goes_on_with_a_revoked_pass_keeps_no_new_one_out():
    counting, scope = Strangers(Nobody()), {"client": ("10.0.0.9", 5)}
    for _ in range(40):
        counting.count(scope, "revoked")
    assert counting.early_s(scope, "revoked") > 0
    assert counting.early_s(scope, "new") == 0
    for number in range(40):
        counting.count(scope, f"made-up-{number}")
    assert counting.early_s(scope, "new") > 0
    assert counting.early_s(scope | {"client": ("10.0.0.8", 5)}, "new") == 0


def test_refused_tokens_fill_no_memory(monkeypatch):
    monkeypatch.setattr(strangers, "_REMEMBERED", 3)
    counting, scope = Strangers(Nobody()), {"client": ("10.0.0.9", 5)}
    for number in range(40):
        counting.count(scope, f"made-up-{number}")
    counting.count(scope, "\ud800")  # JSON can say this
    assert len(counting._refused) == 3


def until_heard(somebody):
    """Wait until the address is heard again."""
    while somebody.get("/api/runs").status_code == 429:
        asyncio.run(asyncio.sleep(0.2))


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"Origin": EVIL}, 403, "wrong_origin"),
        ({"Authorization": "Bearer x"}, 429, "too_many_calls"),
    ],
)
def test_a_socket_that_is_refused_is_told_why(guess, url, headers, status, code):
    for _ in range(30):  # every two seconds one more is looked at
        while status == 429 and guess().status_code != 429:
            pass
        if (answer := refusal(url, headers)) is not None:
            break
    assert answer is not None, "all of them were let in"
    assert (answer.status_code, json.loads(answer.body)["error"]["code"]) == (status, code)
    assert "x-request-id" in answer.headers


def refusal(url, headers):
    """What is answered to a socket that is not opened; None of one that is."""
    try:
        with connect(url, additional_headers=headers, proxy=None):
            return None
    except websockets.InvalidStatus as refused:
        return refused.response


def test_a_socket_too_many_is_told_when_to_come_back():
    heard = []

    async def hear(message):
        heard.append(message)

    async def call(app, _):
        scope = {"type": "websocket", "path": "/ws/events", "query_string": b""}
        scope["headers"] = [(b"host", b"here:1")]
        for _ in range(2):
            await app(scope | {"extensions": {"websocket.http.response": {}}}, leaves, hear)

    began_s = time.monotonic()
    alone(call, requests_per_s=0.01)
    took_s = time.monotonic() - began_s
    start = next(one for one in heard if one["type"] == "websocket.http.response.start")
    told_s = int(dict(start["headers"])[b"retry-after"])
    assert start["status"] == 429
    assert 97 - took_s <= told_s <= 100


async def leaves():
    return {"type": "websocket.disconnect"}
