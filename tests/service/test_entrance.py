"""Who is kept out before anything is read: other sites, other names, forms, and too much at once."""

import asyncio
import socket
from urllib.parse import urlsplit

import httpx
import pytest

from flnb.service import Gateway, ServiceSettings, make_app
from flnb.service.entrance import HEADER
from tests.service.conftest import PAGES

EVIL = "https://evil.example"


def host_of(served):
    return urlsplit(served.url).netloc


def test_a_name_that_was_made_to_mean_this_machine_is_refused(calls, served):
    port = urlsplit(served.url).port
    for host in ("evil.example", f"evil.example:{port}", "127.0.0.1", f"127.0.0.1:{port + 1}", ""):
        answer = calls("admin").get("/api/runs", headers={"Host": host})
        assert (answer.status_code, answer.json()["error"]["code"]) == (421, "wrong_host"), host
    for name in ("localhost", "LOCALHOST", "[::1]", "127.0.0.1"):
        assert (
            calls("admin").get("/api/runs", headers={"Host": f"{name}:{port}"}).status_code == 200
        )


@pytest.mark.parametrize("origin", [EVIL, "null", "http://127.0.0.1", f"{PAGES}.evil.example"])
def test_a_page_of_another_site_neither_reads_nor_writes(calls, origin):
    for method, path in (("GET", "/api/runs"), ("POST", "/api/runs/first/pause")):
        answer = calls("admin").request(method, path, headers={"Origin": origin})
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "wrong_origin")
        assert "access-control-allow-origin" not in answer.headers


def test_a_form_of_another_site_cannot_send_the_header(served, calls):
    token = calls("admin").headers["authorization"]
    form = {"Authorization": token, "Content-Type": "application/x-www-form-urlencoded"}
    answer = httpx.post(f"{served.url}/api/runs/first/pause", headers=form, content="reason=x")
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "header_missing")
    assert HEADER in answer.json()["error"]["message"]


def test_a_page_that_was_named_may_call_and_no_other(calls, served):
    asks = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,flnb-request",
    }
    allowed = httpx.options(f"{served.url}/api/sql", headers=asks | {"Origin": PAGES})
    assert (allowed.status_code, allowed.headers["access-control-allow-origin"]) == (204, PAGES)
    assert "flnb-request" in allowed.headers["access-control-allow-headers"].lower()
    answer = calls("viewer").get("/api/runs", headers={"Origin": PAGES})
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, PAGES)
    assert "Origin" in answer.headers["vary"]
    assert "access-control-allow-credentials" not in answer.headers
    refused = httpx.options(f"{served.url}/api/sql", headers=asks | {"Origin": EVIL})
    assert (refused.status_code, "access-control-allow-origin" in refused.headers) == (403, False)


def test_the_service_s_own_page_may_call(calls, served):
    assert calls("viewer").get("/api/runs", headers={"Origin": served.url}).status_code == 200


def test_a_body_that_is_too_long_is_refused_whether_it_says_so_or_not(calls):
    def drops():
        yield from [b"x" * 65536] * 8

    for body in (b"x" * 300_000, drops()):
        answer = calls("admin").post("/api/sql", content=body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (413, "body_too_long")
    assert calls("admin").get("/api/runs").status_code == 200


def test_a_caller_can_name_its_request_and_nonsense_is_not_repeated(calls):
    named = calls("viewer").get("/api/runs", headers={"X-Request-Id": "mine-0123"})
    assert named.headers["x-request-id"] == "mine-0123"
    for bad in ("short", "x" * 100, "a b c d e f g h"):
        given = calls("viewer").get("/api/runs", headers={"X-Request-Id": bad})
        assert given.headers["x-request-id"] != bad


def test_another_user_of_the_machine_finds_an_open_port_and_nothing_else(served):
    with socket.create_connection(urlsplit(served.url).netloc.split(":")) as line:
        line.sendall(f"GET /api/runs HTTP/1.1\r\nHost: {host_of(served)}\r\n\r\n".encode())
        assert line.recv(20).startswith(b"HTTP/1.1 401")


def alone(work, **changes):
    """Let something call the app by itself, whose coordinator is not there."""
    settings = {"address": "127.0.0.1:1", "viewer": "v", "operator": "o", "hosts": ("here:1",)}

    async def run():
        settings_ = ServiceSettings(**settings, **changes)
        gateway = Gateway(settings_)
        app = make_app(gateway, settings_)
        transport = httpx.ASGITransport(app)
        try:
            async with httpx.AsyncClient(transport=transport, base_url="http://here:1") as client:
                return await work(app, client)
        finally:
            await gateway.close()

    return asyncio.run(run())


def test_a_body_that_does_not_come_is_not_waited_for():
    async def drips():
        yield b"{"
        await asyncio.sleep(60)

    async def call(_, client):
        return await client.post("/api/sql", content=drips(), headers={HEADER: "1"})

    answer = alone(call, body_timeout_s=0.05)
    assert (answer.status_code, answer.json()["error"]["code"]) == (408, "body_too_slow")


def test_who_asks_too_often_is_told_when_to_go_on_and_others_are_not():
    async def call(app, client):
        app.openapi()  # to write it may take longer than all that is asked here
        token = {"Authorization": "Bearer of-another"}
        mine = [await client.get("/openapi.json") for _ in range(6)]
        return mine, await client.get("/openapi.json", headers=token)

    answers, other = alone(call, requests_per_s=0.5)
    assert [one.status_code for one in answers] == [200, 429, 429, 429, 429, 429]
    waits_s = [int(one.headers["retry-after"]) for one in answers[1:]]
    assert set(waits_s) <= {1, 2}
    assert (answers[1].json()["error"]["code"], other.status_code) == ("too_many_calls", 200)


def test_a_coordinator_that_is_not_there_is_503():
    async def call(_, client):
        return await client.get("/api/runs", headers={"Authorization": "Bearer some"})

    answer = alone(call)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "unreachable")
    assert answer.headers["retry-after"] == "2"


def test_a_socket_from_another_site_is_refused_before_it_is_accepted():
    sent = []

    async def send(message):
        sent.append(message)

    async def nothing():
        raise AssertionError("nothing of it is read")

    async def call(app, _):
        headers = [(b"host", b"here:1"), (b"origin", EVIL.encode())]
        await app({"type": "websocket", "path": "/ws/events", "headers": headers}, nothing, send)

    alone(call)
    assert sent == [{"type": "websocket.close", "code": 4003}]
