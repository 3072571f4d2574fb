"""What one caller does keeps nobody else waiting: slow questions, lines that break off, words made up."""

import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import httpx
import pytest

from flnb.core.errors import QueryRefusedError
from tests.service.conftest import caller, token_in


@pytest.fixture
def answers(coord, monkeypatch):
    """Replaces what the coordinator answers to a method."""
    known = coord._desk.server._controls._answers
    return lambda method, answer: monkeypatch.setitem(known, method, answer)


@pytest.fixture
def thinking(answers):
    """Lets questions in SQL take long; says who asks those that are thought about."""
    asked, go_on = [], threading.Event()

    def think(claims, _):
        asked.append(claims.name)
        go_on.wait(60)
        raise QueryRefusedError("it took too long")

    answers("Sql", think)
    yield asked
    go_on.set()


@pytest.fixture
def questions(coord):
    """Asks questions in SQL, so many at once."""
    threads, going_on = ThreadPoolExecutor(20), []

    def ask(name, number):
        token = token_in(coord.lab, name, "viewer")
        going_on.extend(threads.submit(_ask, coord.http, token) for _ in range(number))

    yield ask
    threads.shutdown()


def _ask(url, token):
    with caller(url, token) as somebody:
        somebody.post("/api/sql", json={"query": "SELECT 1"})


def test_questions_that_take_long_keep_neither_lists_nor_other_people_waiting(
    asks, questions, thinking, until
):
    questions("greedy", 17)
    until(lambda: len(thinking) == 3)
    for path in ("/api/health", "/api/runs", "/api/rounds", "/api/status", "/metrics"):
        assert asks("viewer").get(path, timeout=20).status_code == 200
    until(lambda: 'flnb_waiting{queue="questions"} 1.0' in asks("viewer").get("/metrics").text)
    assert thinking == ["greedy"] * 3
    questions("another", 1)
    until(lambda: thinking == [*["greedy"] * 3, "another"])


@pytest.mark.parametrize("length", ["Content-Length: 100", "Transfer-Encoding: chunked"])
def test_what_broke_off_in_the_middle_is_not_done(coord, asks, answers, until, length):
    stopped = []
    answers("Stop", lambda _, request: stopped.append(request.run))
    place, who = urlsplit(coord.http), asks("operator").headers["authorization"]
    said = ["POST /api/runs/first/stop HTTP/1.1", f"Host: {place.netloc}", "Flnb-Request: 1"]
    lines = [*said, f"Authorization: {who}", length, "", ""]
    before = broken_off(asks)
    with socket.create_connection((place.hostname, place.port)) as line:
        line.sendall("\r\n".join(lines).encode())
    until(lambda: broken_off(asks) > before)
    assert stopped == []


def broken_off(asks):
    """How many requests broke off."""
    lines = asks("viewer").get("/metrics").text.splitlines()
    mine = (line for line in lines if line.startswith("flnb_http_requests_total"))
    return sum(float(line.split()[-1]) for line in mine if 'status="400"' in line)


def test_methods_that_nobody_knows_are_counted_together(coord, asks):
    for number in range(20):
        httpx.request(f"MADE{number}", f"{coord.http}/api/health", headers={"Flnb-Request": "1"})
    told = asks("viewer").get("/metrics").text
    assert "MADE" not in told
    assert 'flnb_http_requests_total{method="other",route="/api/health",status="405"} 20.0' in told
