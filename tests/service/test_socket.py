"""The WebSocket of events: real sockets to the service's own process."""

import json
import socket
import time
from datetime import timedelta

import psutil
import pytest
from service.conftest import caller

import flnb
from flnb.coordinator.granting import written_token
from flnb.core.clock import SYSTEM_CLOCK
from flnb.store import Operation
from flnb.transport.tokens import claimed


@pytest.fixture(scope="module")
def coord(tmp_path_factory, task):
    with flnb.Coordinator(tmp_path_factory.mktemp("socket") / "lab") as coordinator:
        coordinator.simulate(task, workers=0)
        coordinator.listen(http_port=0)
        with caller(coordinator.http, timeout=60) as anybody:
            assert anybody.get("/api/health").status_code == 200
        yield coordinator


@pytest.fixture
def url(coord):
    return coord.http.replace("http", "ws") + "/ws/events"


@pytest.fixture
def token(coord):
    def give(role="operator", name="ears", lifetime_s=600.0):
        return written_token(coord.lab.store, name, role, timedelta(seconds=lifetime_s))[0]

    return give


@pytest.fixture
def until():
    def wait(true, timeout_s=30):
        deadline_s = time.monotonic() + timeout_s
        while not true():
            assert time.monotonic() < deadline_s
            time.sleep(0.01)

    return wait


def sockets_of(coord):
    """Connections that the service's process has open with WebSocket clients."""
    process = psutil.Process(coord._served.pid)
    port = int(coord.http.rpartition(":")[2])
    open_now = process.net_connections(kind="tcp")
    return [one for one in open_now if one.laddr.port == port and one.status == "ESTABLISHED"]


def test_a_listener_hears_a_snapshot_then_every_round_in_order(
    coord, url, ears, token, plan, task, until
):
    ear = ears.open(url, token())
    until(lambda: ear.events)
    run = coord.run(plan, task).wait(60)
    until(lambda: ear.rounds == [1, 2, 3, 4])
    until(lambda: ear.of("run_changed")[-1]["status"] == "finished")
    assert ear.types[0] == "snapshot"
    assert {event["run"] for event in ear.events if event["type"] == "round_complete"} == {run.name}
    again = ears.open(url, token("viewer"), cursor=ear.durable[0][1])
    until(lambda: len(again.durable) == len(ear.durable) - 1)
    assert again.durable == ear.durable[1:]
    assert again.of("snapshot") == []
    assert run.name in {told for event in again.events if (told := event["run"])}


def test_it_says_hello_with_a_header_or_a_message_and_resumes_whenever_it_likes(
    coord, url, ears, token, plan, task, until
):
    coord.run(plan, task).wait(60)
    ear = ears.open(url, token(), header=True)
    until(lambda: ear.of("snapshot"))
    ear.say({"type": "resume", "cursor": f"0.0.{coord.lab.id}"})
    until(lambda: ear.rounds == [1, 2, 3, 4])
    ear.say({"type": "ping"})
    until(lambda: "pong" in ear.types)
    told = ears.open(f"{url}?cursor={ear.cursor}&types=operation", token(), header=True)
    until(lambda: told.opened.is_set())
    coord.run(plan, task).wait(60)
    until(lambda: told.of("operation"))
    assert set(told.types) <= {"operation", "heartbeat"}


def test_a_listener_to_one_run_hears_of_no_other(coord, url, ears, token, plan, task, until):
    ear = ears.open(url, token(), runs=["mine"])
    until(lambda: ear.events)
    coord.run(plan, task).wait(60)
    coord.run(plan, task, name="mine").wait(60)
    until(lambda: ear.rounds == [1, 2, 3, 4])
    assert {event["run"] for event in ear.events} == {"", "mine"}


def test_bad_tokens_are_turned_away_with_a_code_that_says_not_to_come_back(
    coord, url, ears, token, until
):
    good, late = token("viewer"), token("viewer", lifetime_s=0.05)
    until(lambda: time.time() > claimed(late)[1])
    cases = [
        (ears.open(url, "nonsense"), 4001, "refused"),
        (ears.open(url, ""), 4001, "no token"),
        (ears.open(url, late), 4001, "expired"),
        (ears.open(url, token("client")), 4003, "needs the role viewer"),
        (ears.open(f"{url}?token={good}", good, header=True), 4003, "in the address"),
        (ears.open(url, good, runs="all"), 1008, "runs is a list"),
        (ears.open(url, good, types=["round_completed"]), 1008, "did you mean 'round_complete'?"),
    ]
    until(lambda: all(ear.code for ear, _, _ in cases))
    assert [(ear.code, words in ear.reason) for ear, _, words in cases] == [
        (code, True) for _, code, _ in cases
    ]
    assert all(ear.events == [] for ear, _, _ in cases)


@pytest.mark.parametrize("headers", [{"Origin": "http://evil.example"}, {"Host": "evil.example"}])
def test_pages_of_other_sites_and_other_names_do_not_get_in(url, ears, token, until, headers):
    ear = ears.open(url, token(), extra=headers)
    until(lambda: ear.refused)
    assert ear.refused in (403, 400)


def test_an_expired_and_a_revoked_token_end_within_a_second(coord, url, ears, token, until):
    short = ears.open(url, token(lifetime_s=3.0))
    taken = ears.open(url, token(name="dr-kim"))
    until(lambda: short.events and taken.events)
    coord.revoke_token("dr-kim")
    revoked_s = time.monotonic()
    until(lambda: taken.code)
    assert (taken.code, time.monotonic() - revoked_s < 2.0) == (4001, True)
    until(lambda: short.code)
    assert (short.code, short.reason) == (4001, "the token has expired")


def test_who_does_not_read_is_dropped_and_holds_nobody_up(
    coord, url, ears, token, plan, task, until
):
    good, ear = token(), ears.open(url, token())
    until(lambda: ear.events)
    before = len(sockets_of(coord))
    deaf = Deaf(coord, good)
    until(lambda: len(sockets_of(coord)) == before + 1)
    shout(coord, 120)
    until(lambda: len(sockets_of(coord)) == before, timeout_s=60)
    until(lambda: len(ear.of("operation")) >= 120)
    assert ear.code is None
    deaf.close()


def shout(coord, times):
    """Let there be many long events."""
    for number in range(times):
        words = f"{number} " + "x" * 60_000
        shouted = Operation(SYSTEM_CLOCK.now(), "dr-kim", "shout", None, words)
        coord.lab.store.state.append_operation(shouted)


class Deaf:
    """A client that says hello, then never reads a byte."""

    def __init__(self, coord, token):
        host, _, port = coord.http.partition("//")[2].partition(":")
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self._socket.connect((host, int(port)))
        self._socket.sendall(
            f"GET /ws/events HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Key: {'A' * 22}==\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
        )

    def close(self):
        self._socket.close()


def test_fifty_at_once_hear_the_same_in_the_same_order(coord, url, ears, token, plan, task, until):
    good = token()
    crowd = [ears.open(url, good) for _ in range(50)]
    until(lambda: all(ear.events or ear.hearing.done() for ear in crowd))
    assert {(ear.code, ear.reason, ear.refused) for ear in crowd} == {(None, "", None)}
    coord.run(plan, task).wait(60)
    until(lambda: all(ear.rounds == [1, 2, 3, 4] for ear in crowd))
    until(lambda: len({json.dumps(ear.durable) for ear in crowd}) == 1)
    for ear in crowd:
        ear.hang_up()
    until(lambda: len(sockets_of(coord)) == 0)


def test_a_listener_hears_that_a_round_is_open(coord, url, ears, token, plan, task, until):
    ear = ears.open(url, token())
    until(lambda: ear.events)
    run = coord.run(plan.replace(rounds=100_000), task)
    until(lambda: ear.of("round_started"))  # of quick rounds, one in so many is looked at
    run.stop()
    opened = ear.of("round_started")[0]
    assert (opened["run_id"], opened["invited"]) == (run.id, 4)
