"""What each mistake is answered with, in one shape; never 500."""

import re
import time

import httpx
import pytest

import flnb
from flnb.core.errors import FLBaseError
from flnb.service import problems
from flnb.service.steering import Digest
from tests.service.conftest import caller, token_in

ARROW = "application/vnd.apache.arrow.stream"
HISTORY = "/api/clients/c000/history"


def error(answer, status):
    """The shape that every mistake has."""
    assert answer.status_code == status, answer.text
    told = answer.json()["error"]
    assert set(told) == {"code", "message", "hint", "details", "request_id"}
    assert (told["request_id"], bool(told["message"])) == (answer.headers["x-request-id"], True)
    return told


def test_without_a_good_token_nobody_reads_anything(calls, served, tmp_path):
    with flnb.Coordinator(tmp_path / "other") as other:
        elsewhere = token_in(other.lab, "a-viewer", "viewer")
    bad = {
        None: "no token",
        "nonsense": "cannot be read",
        "non\tsense": "no token",
        "x" * 20_000: "no token",
        elsewhere: "no key|does not fit|another lab",
        token_in(served.lab, "late", "viewer", 1.0): "expired",
        token_in(served.lab, "hospital", "client"): "role viewer",
    }
    time.sleep(1.0)
    for token, why in bad.items():
        with caller(served.url, token) as anybody:
            answer = anybody.get("/api/runs")
        told = error(answer, 403 if token and "role" in why else 401)
        assert re.search(why, told["message"]), told
        if answer.status_code == 401:
            assert answer.headers["www-authenticate"].startswith("Bearer")


def test_a_token_that_was_taken_back_is_worth_nothing_from_then_on(served):
    token = token_in(served.lab, "dr-lee", "viewer")
    with caller(served.url, token) as somebody:
        assert somebody.get("/api/runs").status_code == 200
        flnb.open(served.lab).store.state.revoke_tokens("dr-lee")
        assert "revoked" in error(somebody.get("/api/runs"), 401)["message"]


@pytest.mark.parametrize(
    ("role", "method", "path"),
    [
        ("viewer", "GET", "/api/clients"),
        ("viewer", "GET", HISTORY),
        ("viewer", "GET", "/api/operations"),
        ("viewer", "GET", "/api/models/first.1.1/download"),
        ("viewer", "POST", "/api/runs/first/pause"),
        ("viewer", "POST", "/api/runs/first/resume"),
        ("viewer", "POST", "/api/clients/c000/quarantine"),
        ("operator", "POST", "/api/rounds/first.1.4/stop"),
        ("operator", "POST", "/api/clients/c000/revoke"),
        ("operator", "POST", "/api/invites"),
    ],
)
def test_a_role_that_is_not_enough_is_told_which_would_be(calls, role, method, path):
    body = {"client": "x"} if path.endswith("invites") else {"reason": "because"}
    sent = body if method == "POST" and "runs" not in path else None
    told = error(calls(role).request(method, path, json=sent), 403)
    assert "needs the role" in told["message"]
    assert "flnb token NAME --role" in told["hint"]


@pytest.mark.parametrize(
    "path",
    [
        "/api/nothing",
        "/api/runs/nobody",
        "/api/runs/nobody/branches",
        "/api/rounds/7",
        "/api/rounds/first.1.99",
        "/api/rounds/first.9.1",
        "/api/rounds/nobody.1.1",
        "/api/rounds/first.1.999999999",
        "/api/models/first@nothing",
        "/api/models/first.1.99/download",
        "/api/clients/nobody",
        "/api/clients/no'body/history",
        "/api/rounds?run=nobody",
    ],
)
def test_what_is_not_there_is_404_and_the_nearest_name_is_offered(calls, path):
    assert error(calls("operator").get(path), 404)["code"] == "not_found"
    assert "first" in calls("viewer").get("/api/runs/frist").json()["error"]["hint"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/sql", {"query": "DROP TABLE runs"}),
        ("/api/sql", {"query": "SELECT * FROM read_text('/etc/passwd')"}),
        ("/api/sql", {"query": "SELECT 1; SELECT 2"}),
        ("/api/sql", {"query": "SELECT count(*) FROM range(10**12) a", "timeout_s": 0.2}),
        ("/api/sql", {"query": "SELECT 1", "rows": 0}),
        ("/api/sql", {"query": "SELECT 1", "unknown": 1}),
        ("/api/sql", {}),
        ("/api/runs/first/branches", {"name": "b", "changes": {"ruonds": 3}}),
        ("/api/runs/first/rollback", {"digest": "x", "reason": "because"}),
        ("/api/runs/first/rollback", {"digest": "x", "reason": "  "}),
        ("/api/runs/first/aliases", {"name": "best", "at": 1, "reason": "because"}),
        ("/api/clients/c000/quarantine", {"reason": ""}),
    ],
)
def test_what_cannot_be_is_422_and_says_why(calls, path, body):
    assert error(calls("operator").post(path, json=body), 422)["message"]


@pytest.mark.parametrize(
    "said", [(1, 4, 2, "x"), ("a", 4, 2, ""), (2**70, 4, 2, ""), (1, 4, 2, ["a"]), (1, 4, "x", "")]
)
def test_a_digest_that_somebody_made_up_is_422(calls, said):
    text = Digest("first", *said).text
    sent = {"digest": text, "reason": "because"}
    assert error(calls("operator").post("/api/runs/first/rollback", json=sent), 422)["message"]


@pytest.mark.parametrize("kind", ["application/json", "text/csv"])
def test_values_that_json_or_csv_have_no_word_for_are_answered(calls, kind):
    odd = "INTERVAL 1 DAY, 'infinity'::TIMESTAMP, ['290000-01-01'::DATE], '101'::BIT, 'NaN'::DOUBLE"
    asked = {"json": {"query": f"SELECT {odd}, 7 AS seven"}, "headers": {"Accept": kind}}
    answer = calls("operator").post("/api/sql", **asked)
    assert answer.status_code == 200
    if kind == "text/csv":
        assert answer.text.endswith(",7\n")
    else:
        assert answer.json()["rows"] == [[[0, 1, 0], None, None, "101", None, 7]]


@pytest.mark.parametrize("kind", ["application/json", "text/csv", ARROW])
def test_no_type_of_a_database_is_an_error_of_the_service(calls, kind):
    plain = """1::BIGNUM, 1::UHUGEINT, uuid(), TIMETZ '12:00:00+05', 'infinity'::DATE, 'a'::ENUM('a'),
        MAP{[1]: 2}, union_value(a := [1::BIGNUM]), {'u': union_value(b := 'x'::BLOB)}, NULL::BIGNUM"""
    for query in (f"SELECT {plain}", f"SELECT {plain} WHERE false"):
        told = calls("viewer").post("/api/sql", json={"query": query}, headers={"Accept": kind})
        assert (told.status_code, told.headers["content-type"].split(";")[0]) == (200, kind)


def test_bad_input_is_not_sent_back(calls):
    answer = calls("operator").post("/api/sql", json={"query": ["a secret"]})
    assert error(answer, 422)["details"]["mistakes"][0]["where"] == "body.query"
    assert "a secret" not in answer.text
    for broken in (b"{", b"\xff", b'{"query": "\\ud800"}', b'{"query": "\\u0000"}'):
        assert error(calls("operator").post("/api/sql", content=broken), 422)


@pytest.mark.parametrize("query", ["limit=0", "limit=501", "offset=-1", "limit=many", "run="])
def test_pages_have_bounds(calls, query):
    assert error(calls("viewer").get(f"/api/rounds?{query}"), 422)["code"] == "bad_input"


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("/api/runs?status=runing", "did you mean 'running'?"),
        ("/api/clients?state=quarantine", "did you mean 'quarantined'?"),
    ],
)
def test_a_filter_that_fits_nothing_names_the_nearest_that_does(calls, path, hint):
    assert error(calls("operator").get(path), 422)["hint"] == hint
    for lists in ("/api/runs", "/api/rounds", "/api/models", "/api/operations"):
        told = error(calls("operator").get(f"{lists}?run=frist"), 404)
        assert told["hint"] == "did you mean 'first'?"


def test_a_method_that_there_is_not_and_an_answer_that_nobody_writes(calls):
    assert error(calls("viewer").post("/api/health"), 405)["code"] == "method_not_allowed"
    asked = {"headers": {"Accept": "image/png"}, "json": {"query": "SELECT 1"}}
    assert error(calls("viewer").post("/api/sql", **asked), 406)["code"] == "not_acceptable"


def test_a_coordinator_that_is_gone_is_503_and_when_it_is_back_all_is_well(lab, served, calls):
    operator = calls("operator")
    served.process.send_signal(19)  # SIGSTOP: it is there, and does not answer
    try:
        with httpx.Client(base_url=served.url, timeout=60) as patient:
            answer = patient.get("/api/health")
    finally:
        served.process.send_signal(18)
    assert (error(answer, 503)["code"], answer.headers["retry-after"]) == ("unreachable", "2")
    assert operator.get("/api/runs").status_code == 200


def all_errors(root):
    return {root}.union(*(all_errors(child) for child in root.__subclasses__()))


def test_every_error_has_a_status_and_a_code_of_its_own():
    ours = {one for one in all_errors(FLBaseError) if one.__module__.startswith("flnb.")}
    assert {one.http_status for one in ours} <= {401, 403, 404, 409, 422, 429, 500, 503, 507}
    assert all(one is FLBaseError or "http_status" in vars(one) or _inherits(one) for one in ours)
    codes = [problems.code_of(one.__new__(one)) for one in ours]
    assert len(set(codes)) == len(ours)


def _inherits(kind):
    """Whether it is a kind of an error that has a status; the root's is for what nobody foresaw."""
    return kind.http_status != 500 or kind.__name__ in {
        "WorkerDiedError",
        "StoreError",
        "DamagedError",
        "ClockBehindError",
    }
