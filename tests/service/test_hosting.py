"""The service as a process: started, killed, started again; its port, its tokens, its end."""

import os
import re
import signal
import socket
import ssl
import subprocess

import httpx
import psutil
import pytest

import flnb
from flnb.coordinator import serving
from flnb.coordinator.listening import Place
from flnb.coordinator.serving import HttpPlace
from flnb.core.errors import PlanError, RoundStateError
from tests.service.conftest import FLNB, Served, caller, token_in

OWN = {"flnb-service-viewer", "flnb-service-operator"}


def process_of(coord, until):
    until(lambda: coord._served.pid)
    return psutil.Process(coord._served.pid)


def healthy(coord):
    return httpx.get(f"{coord.http}/api/health", timeout=30).status_code == 200


def test_people_see_where_it_is(coord):
    assert coord.http in coord._repr_mimebundle_()["text/html"]
    assert coord.standing.http == coord.http
    with flnb.connect(str(coord.lab.path)) as elsewhere:
        assert coord.http in elsewhere._repr_mimebundle_()["text/html"]


def test_one_that_dies_is_started_again_and_who_calls_meanwhile_is_answered(coord, until):
    assert healthy(coord)
    before = process_of(coord, until)
    before.kill()
    before.wait(10)
    assert healthy(coord)
    assert process_of(coord, until) != before
    assert len([one for one in coord.tokens if one.name in OWN]) <= 4


def test_others_on_the_machine_see_no_token(coord, until):
    seen = process_of(coord, until)
    told = " ".join([*seen.cmdline(), *seen.environ().values()])
    assert "eyJ" not in told  # how a token begins
    assert seen.cmdline()[1:] == ["-m", "flnb.service"]
    assert os.getsid(seen.pid) != os.getsid(0)  # ^C in a terminal is not for it


def test_it_stays_as_it_is_when_the_cell_is_run_again_and_is_not_moved(coord):
    port = int(coord.http.rpartition(":")[2])
    coord.listen(http_port=port)
    coord.listen(http_port=0)
    with pytest.raises(RoundStateError, match="serves HTTP already"):
        coord.listen(http_port=port, cors=["http://localhost:3000"])


def test_a_port_that_is_taken_is_an_error_and_nothing_is_left_behind(tmp_path, monkeypatch):
    monkeypatch.setattr(serving, "_PORT_S", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(PlanError, match=f"port {port} of 127.0.0.1") as refused:
            flnb.Coordinator(tmp_path / "lab", http_port=port).start()
    assert "port 0 is any free one" in refused.value.hint
    assert flnb.open(tmp_path / "lab").store.holder is None


@pytest.mark.parametrize("origin", ["*", "localhost:3000", "http://a.example/path", "file://x"])
def test_what_is_no_origin_is_refused_before_anything_is_served(lab, origin):
    with pytest.raises(PlanError, match="not the origin of a page"):
        serving.Served(flnb.open(lab).store, Place(), HttpPlace(0, cors=[origin]))


@pytest.mark.parametrize(
    ("host", "why"), [("192.0.2.1", "without TLS"), ("0.0.0.0", "every address of this machine")]
)
def test_elsewhere_than_on_loopback_nothing_is_served_in_the_clear(lab, host, why):
    with pytest.raises(PlanError, match=why):
        serving.Served(flnb.open(lab).store, Place(), HttpPlace(0, host))


def test_it_knows_its_name_as_browsers_say_it():
    assert HttpPlace(443, "Lab.Example").hosts == ["lab.example:443", "lab.example"]
    assert HttpPlace(8443, "lab.example").hosts == ["lab.example:8443"]
    assert {"127.0.0.1:80", "localhost"} < set(HttpPlace(80).hosts)


def test_it_ends_with_its_coordinator_and_takes_its_tokens_along(tmp_path, until):
    with flnb.Coordinator(tmp_path / "lab", http_port=0) as coordinator:
        assert healthy(coordinator)
        port, process = int(coordinator.http.rpartition(":")[2]), process_of(coordinator, until)
    assert not process.is_running()
    assert [
        one for one in flnb.open(tmp_path / "lab").store.state.tokens() if one.name in OWN
    ] == []
    with socket.create_server(("127.0.0.1", port)):
        pass


def test_a_coordinator_that_is_killed_leaves_no_service_and_its_port_is_free(tmp_path, until):
    service = Served(tmp_path / "lab", "--port", "0")
    httpx.get(f"{service.url}/api/health", timeout=30)
    (process,) = service.services
    service.end(signal.SIGKILL)
    assert not process.is_running()
    port = service.url.rpartition(":")[2]
    again = Served(tmp_path / "lab", "--http-port", port)
    assert again.url == service.url
    with caller(again.url, token_in(tmp_path / "lab", "dr-lee", "viewer")) as somebody:
        assert somebody.get("/api/runs").status_code == 200
        until(lambda: len(again.services) == 1)
    again.end(signal.SIGINT)


def test_elsewhere_the_certificate_of_the_coordinator_is_shown(tmp_path, monkeypatch):
    monkeypatch.setattr(HttpPlace, "is_loopback", property(lambda _: False))
    with flnb.Coordinator(tmp_path / "lab") as coordinator:
        coordinator.listen(tls=True, http_port=0)
        trusted = ssl.create_default_context(cafile=coordinator.lab.path / "tls" / "ca.pem")
        assert coordinator.http.startswith("https://")
        answer = httpx.get(f"{coordinator.http}/api/health", verify=trusted, timeout=30)
        assert answer.json()["status"] == "ok"


def test_a_terminal_says_where_it_is(tmp_path):
    command = [FLNB, "coordinator", "serve", tmp_path / "lab", "--http-port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        lines = (process.stderr.readline() for _ in range(5))
        said = next(line for line in lines if line.startswith("http at"))
        process.terminate()
        process.communicate(timeout=30)
    assert re.fullmatch(r"http at http://127.0.0.1:\d+, docs at /docs\n", said)


def test_its_own_tokens_are_renewed_and_old_ones_end(tmp_path, monkeypatch, until):
    monkeypatch.setattr(serving, "_RENEWED_S", 0.2)
    with flnb.Coordinator(tmp_path / "lab", http_port=0) as coordinator:
        assert healthy(coordinator)
        process, first = process_of(coordinator, until), own_tokens(coordinator)
        until(lambda: not own_tokens(coordinator) & first)
        assert healthy(coordinator)
        assert process_of(coordinator, until) == process
        until(lambda: len(own_tokens(coordinator)) <= 4)  # two more while they change


def own_tokens(coordinator):
    return {one.id for one in coordinator.tokens if one.name in OWN}
