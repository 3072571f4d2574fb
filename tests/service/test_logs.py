"""Logs: JSON on request, with what belongs to a line, and without secrets wherever they stand."""

import io
import json
import logging

import pytest

from flnb.coordinator.granting import own_token
from flnb.service.logs import configure, without_secrets
from flnb.store import LabStore
from flnb.transport import Pass


@pytest.fixture
def logged():
    """Lines of JSON that this process logs."""
    root, stream = logging.getLogger(), io.StringIO()
    before = root.handlers, root.level
    configure(as_json=True, stream=stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.handlers = before[0]
    root.setLevel(before[1])
    for name in ("flnb", "uvicorn"):
        logging.getLogger(name).setLevel(logging.NOTSET)


@pytest.fixture
def token(tmp_path):
    store = LabStore.open(tmp_path / "lab")
    yield own_token(store)[0]
    store.close()


def test_a_line_has_its_fields_and_when_it_was(logged):
    logging.getLogger("flnb.x").info("round %d closed", 3, extra={"run": "first", "round": 3})
    (line,) = logged()
    assert (line["event"], line["run"], line["round"]) == ("round 3 closed", "first", 3)
    assert (line["level"], line["logger"]) == ("info", "flnb.x")
    assert line["at"].endswith("Z")


def test_no_secret_is_logged_wherever_it_stands(logged, token):
    log = logging.getLogger("flnb.x")
    line = Pass("127.0.0.1:1", "ab", "dr-lee", token, None).text
    log.warning("GET /ws/events?token=%s&runs=x", token)
    log.warning("they said Authorization: Bearer %s", token)
    log.warning("connect with %s", line, extra={"authorization": token, "also": [{"token": token}]})
    log.warning("postgresql://me:%s@host/db", "hunter22")
    try:
        int(f"cannot read {token}")
    except ValueError:
        log.exception("broken by %s", token)
    told = json.dumps(logged())
    assert len(logged()) == 5
    for secret in (token, token.split(".")[2], line, "hunter22"):
        assert secret not in told
    assert "runs=x" in told


def test_what_is_no_secret_stays():
    words = "client c01 refused: 3 tokens of 650 are not finite; see http://host:80/x?page=2"
    assert without_secrets(words) == words


def test_a_server_does_not_log_addresses_of_its_own(logged):
    logging.getLogger("uvicorn.error").info('"WebSocket /ws/events?token=x" [accepted]')
    assert logged() == []
