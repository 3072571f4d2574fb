"""What people's programs read: lists in pages, one thing by its name, files that are resumed."""

import hashlib
import subprocess

import pyarrow as pa
import pytest

from tests.service.conftest import FLNB, caller

CSV, ARROW = "text/csv", "application/vnd.apache.arrow.stream"
ACCURACY = "SELECT run, round, value FROM metrics WHERE metric = 'accuracy' ORDER BY run, round"


def items(answer):
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


def test_health_needs_no_token_and_says_which_lab(calls, served):
    told = calls(None).get("/api/health").json()
    assert (told["status"], len(told["lab"])) == ("ok", 16)


def test_rounds_come_in_pages_the_newest_first(calls):
    viewer = calls("viewer")
    whole = viewer.get("/api/rounds").json()
    pages = [items(viewer.get("/api/rounds", params={"limit": 3, "offset": n})) for n in (0, 3, 6)]
    assert [one["id"] for page in pages for one in page] == [one["id"] for one in whole["items"]]
    assert (whole["total"], [len(page) for page in pages]) == (8, [3, 3, 2])
    assert [one["round"] for one in whole["items"]] == [4, 3, 2, 1, 4, 3, 2, 1]


def test_rounds_of_one_run_say_what_was_measured_and_what_people_call_them(calls):
    rounds = items(calls("viewer").get("/api/rounds", params={"run": "first"}))
    assert {one["run"] for one in rounds} == {"first"}
    assert [one["names"] for one in rounds] == [[], ["good"], [], []]
    assert all(one["leads"] and 0 < one["metrics"]["accuracy"] < 1 for one in rounds)


def test_a_round_has_its_clients_for_operators_and_none_for_viewers(calls):
    (newest, *_) = items(calls("viewer").get("/api/rounds", params={"run": "first"}))
    seen = calls("operator").get(f"/api/rounds/{newest['id']}").json()
    assert [one["outcome"] for one in seen["clients"]] == ["accepted"] * 4
    assert all(one["n_examples"] > 200 and one["loss"] > 0 for one in seen["clients"])
    hidden = calls("viewer").get(f"/api/rounds/{newest['id']}").json()
    assert (hidden["clients"], hidden["events"]) == ([], [])
    assert hidden["metrics"] == seen["metrics"] == newest["metrics"]


def test_a_round_goes_by_the_name_of_its_run_too(calls):
    (newest, *_) = items(calls("viewer").get("/api/rounds", params={"run": "first"}))
    for name in ("first.1.4", "first@head"):
        assert calls("viewer").get(f"/api/rounds/{name}").json()["id"] == newest["id"]


def test_what_a_client_did_is_told_round_by_round_even_of_simulated_ones(calls):
    path = "/api/clients/c001/history"
    rows = items(calls("operator").get(path, params={"run": "first"}))
    taught = calls("operator").post("/api/sql", json={"query": "SELECT client FROM updates"})
    assert 0 < len(rows) < len(taught.json()["rows"])
    assert [row["round"] for row in rows] == sorted((row["round"] for row in rows), reverse=True)
    assert {row["outcome"] for row in rows} == {"accepted"}


def test_runs_say_how_far_they_are_and_can_be_filtered(calls):
    viewer = calls("viewer")
    runs = items(viewer.get("/api/runs"))
    assert [(one["name"], one["status"], one["round"]) for one in runs] == [
        ("second", "finished", 4),
        ("first", "finished", 4),
    ]
    assert items(viewer.get("/api/runs", params={"status": "running"})) == []
    assert viewer.get("/api/runs/first").json()["view"]["rounds"] == 4


def test_the_summary_has_the_newest_numbers_of_all_runs(calls):
    told = calls("viewer").get("/api/metrics/summary").json()
    assert (told["runs"], told["rounds"]) == (2, 8)
    assert all(one["metrics"]["accuracy"] > 0.5 for one in told["latest"])


def test_a_model_is_downloaded_whole_and_its_tag_is_its_digest(calls):
    (model, *_) = items(calls("viewer").get("/api/models", params={"run": "first"}))
    operator = calls("operator")
    for version in (model["version"], "first@best", "first@head"):
        answer = operator.get(f"/api/models/{version}/download")
        assert answer.headers["etag"] == f'"{hashlib.sha256(answer.content).hexdigest()}"'
        assert answer.headers["content-type"] == "application/vnd.safetensors"
    assert operator.get("/api/models/first@good").json()["round"] == 3


@pytest.mark.parametrize(
    ("asked", "part"),
    [
        ("bytes=100-", slice(100, None)),
        ("bytes=10-19", slice(10, 20)),
        ("bytes=-7", slice(-7, None)),
    ],
)
def test_a_download_goes_on_where_it_broke(calls, asked, part):
    operator, path = calls("operator"), "/api/models/first.1.2/download"
    whole = operator.get(path)
    rest = operator.get(path, headers={"Range": asked, "If-Range": whole.headers["etag"]})
    assert (rest.status_code, rest.content) == (206, whole.content[part])
    assert rest.headers["content-range"].endswith(f"/{len(whole.content)}")
    other = operator.get(path, headers={"Range": asked, "If-Range": '"another"'})
    assert (other.status_code, other.content) == (200, whole.content)


def test_a_part_that_there_is_not_and_a_file_that_somebody_has(calls):
    operator, path = calls("operator"), "/api/models/first.1.2/download"
    tag = operator.get(path).headers["etag"]
    assert operator.get(path, headers={"Range": "bytes=99999999-"}).status_code == 416
    known = operator.get(path, headers={"If-None-Match": tag})
    assert (known.status_code, known.content, known.headers["etag"]) == (304, b"", tag)


def test_what_has_not_changed_is_not_sent_again(calls):
    for path in ("/api/rounds", "/api/runs/first", "/api/models", "/openapi.json"):
        first = calls("viewer").get(path)
        again = calls("viewer").get(path, headers={"If-None-Match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b""), path
        assert again.headers["etag"] == first.headers["etag"]


@pytest.mark.parametrize("path", ["/api/rounds", "/api/runs/first", "/docs", "/openapi.json"])
def test_head_tells_what_get_would_without_the_body(calls, path):
    viewer = calls("viewer")
    whole, head = viewer.get(path), viewer.head(path)
    assert (head.status_code, head.content) == (200, b"")
    told = ("etag", "cache-control", "content-type", "content-length")
    assert [head.headers.get(name) for name in told if name in whole.headers] == [
        whole.headers[name] for name in told if name in whole.headers
    ]
    assert viewer.head("/api/rounds/first.1.99").status_code == 404
    assert viewer.head("/api/sql").status_code == 405
    assert calls(None).head("/api/rounds").status_code == 401


def test_branches_tell_what_leads_where(calls):
    (lane,) = calls("viewer").get("/api/runs/second/branches").json()["lanes"]
    assert (lane["branch"], lane["commits"], lane["current"]) == ("main", [1, 2, 3, 4], True)


def test_the_log_says_who_did_what_and_events_come_after_a_cursor(calls):
    log = items(calls("operator").get("/api/operations", params={"verb": "alias"}))
    assert [(one["run"], one["reason"]) for one in log] == [("first", "looked at")]
    events, after = [], {}
    while page := items(found := calls("viewer").get("/api/events", params={"limit": 3} | after)):
        events, after = [*events, *page], {"after": found.json()["next"]}
    kinds = [one["type"] for one in events]
    assert (kinds.count("round_complete"), kinds.count("operation") >= 3) == (8, True)
    assert len({one["cursor"] for one in events}) == len(events)


def test_a_question_is_answered_as_json_csv_or_arrow(calls):
    def ask(kind):
        return calls("viewer").post("/api/sql", json={"query": ACCURACY}, headers={"Accept": kind})

    plain = ask("application/json").json()
    assert (plain["columns"], len(plain["rows"])) == (["run", "round", "value"], 8)
    assert ask(CSV).text.splitlines()[1].startswith('"first",1,0.')
    table = pa.ipc.open_stream(ask(ARROW).content).read_all()
    assert [list(row.values()) for row in table.to_pylist()] == plain["rows"]
    assert ask("image/png").status_code == 406


def test_people_find_every_endpoint_on_a_page_without_scripts(calls):
    page = calls(None).get("/docs")
    paths = calls(None).get("/openapi.json").json()["paths"]
    assert all(path in page.text for path in paths)
    assert "<script" not in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]


def test_a_pass_is_as_good_as_the_token_in_it(served):
    made = subprocess.run(
        [FLNB, "token", "dr-kim", "--role", "operator", "--lab", served.lab],
        capture_output=True,
        text=True,
        check=True,
    )
    line = made.stdout.strip()
    with caller(served.url, line) as person:
        assert person.get("/api/status").json()["role"] == "operator"
    with caller(served.url, line[:-3]) as person:
        assert person.get("/api/status").status_code == 401
