"""JupyterLab's launcher: the entry loads, and what it starts lets in who comes through the proxy only."""

import base64
import json
import os
import re
import runpy
import socket
import subprocess
import sys
import tomllib
import zlib
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest

from flnb.dashboards.proxied import HEADER, server
from tests.dashboards.test_feed import until

ROOT = Path(__file__).parents[2]
CONFIGURED = ROOT / "jupyter_config" / "jupyter_server_config.py"


@pytest.fixture(scope="module")
def proxied(lab):
    """What jupyter-server-proxy would start, and the address it would ask."""
    entry = server()
    filled = [part.format(port=0, base_url="/user/ana/") for part in entry["command"]]
    environment = {**os.environ, **entry["environment"], "FLNB_LAB": str(lab.path)}
    environment.pop("FLNB_PASS", None)
    with subprocess.Popen(
        [*filled, "--until-eof"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        entry["address"] = json.loads(process.stdout.readline())["address"]
        yield entry
        process.communicate()


def test_jupyter_reads_the_configuration_and_shows_it_in_the_launcher(monkeypatch):
    monkeypatch.setenv("JUPYTER_PATH", "")  # is set, and gone afterwards
    settings = SimpleNamespace(ServerProxy=SimpleNamespace())
    runpy.run_path(str(CONFIGURED), {"get_config": lambda: settings})
    entry = settings.ServerProxy.servers["flnb"]
    assert entry["launcher_entry"] == {"enabled": True, "title": "flnb dashboards"}
    assert entry["environment"]["FLNB_PROXY_WORD"] == entry["request_headers_override"][HEADER]


def test_the_launcher_shows_the_pages_once():
    published = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]
    assert "jupyter_serverproxy_servers" not in published  # the configuration names them


def test_who_comes_through_the_proxy_is_signed_in_under_its_path(proxied):
    headers = {**proxied["request_headers_override"], "Host": "hub.example"}
    assert httpx.URL(proxied["address"]).path == "/user/ana/flnb/"
    answer = httpx.get(proxied["address"], headers=headers, timeout=60)
    assert (answer.status_code, "Overview · lab · flnb" in answer.text) == (200, True)


def carried(page):
    """What a page brings along for its session, as its scripts can read it."""
    head = re.search(r'"token":"([^".]+)', page)[1]
    packed = json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))["__bk__zlib_"]
    return zlib.decompress(base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4))).decode()


def test_a_page_does_not_carry_the_word_of_the_proxy(proxied):
    headers = {**proxied["request_headers_override"], "Host": "hub.example"}
    said = carried(httpx.get(proxied["address"], headers=headers, timeout=60).text)
    assert ("hub.example" in said, headers[HEADER] in said) == (True, False)


@pytest.mark.parametrize("word", ["", "guessed"])
def test_who_comes_another_way_is_not(proxied, word):
    answer = httpx.get(proxied["address"], headers={HEADER: word}, timeout=60)
    assert (answer.status_code, "/sign-in" in answer.headers["location"]) == (302, True)


@pytest.fixture(scope="module")
def panel_serve(lab):
    """Two of the pages as `panel serve` runs them, with the link that signs in."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    pages = [str(ROOT / "dashboards" / f"{name}.py") for name in ("overview", "rounds")]
    command = [sys.executable, "-m", "panel", "serve", *pages, "--port", str(port)]
    command += ["--auth-module", str(ROOT / "dashboards" / "auth" / "gate.py")]
    command += ["--exclude-cookies", f"flnb-{port}", "--exclude-headers", "Cookie"]
    environment = {**os.environ, "FLNB_LAB": str(lab.path)}
    environment.pop("FLNB_PASS", None)
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        link = next(line for line in process.stderr if line.startswith("sign in"))
        address = f"http://localhost:{port}"
        until(lambda: answers(address), "the pages are served")
        yield address, link.split(": ")[1].strip()
        process.terminate()
        process.communicate()


def answers(address):
    try:
        return httpx.get(f"{address}/sign-in", timeout=10).status_code == 200
    except httpx.TransportError:
        return False


def test_panel_serve_shows_the_pages_to_whoever_signed_in(panel_serve):
    address, link = panel_serve
    with httpx.Client(base_url=address, timeout=60) as client:
        assert "sign-in" in client.get("/rounds").headers["location"]
        assert client.get(link).headers["location"] == "/overview"
        page = client.get("/rounds?run=finished").text
        assert "<title>Rounds · lab · flnb" in page
        assert next(iter(client.cookies.values())) not in carried(page)
