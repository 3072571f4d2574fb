"""Studies over REST: lists in pages, cells with what their runs were measured by, words for operators alone."""

from dataclasses import replace

import pytest

import flnb
from flnb.store import HIDDEN, Outcome


@pytest.fixture(scope="module")
def state(served):
    lab = flnb.open(served.lab)
    yield lab.store.state
    lab.store.close()


def test_a_list_says_how_many_cells_stand_how(calls):
    told = calls("viewer").get("/api/studies").json()
    (study,) = told["items"]
    assert (told["total"], study["name"], study["cells"]) == (1, "alpha", 6)
    assert study["outcomes"] == dict.fromkeys(map(str, Outcome), 1)
    assert calls("viewer").get("/api/studies", params={"offset": 1}).json()["items"] == []


def test_cells_come_in_pages_with_the_numbers_of_their_runs(calls):
    viewer, path = calls("viewer"), "/api/studies/alpha"
    pages = [viewer.get(path, params={"limit": 4, "offset": n}).json() for n in (0, 4)]
    cells = [cell for page in pages for cell in page["items"]]
    assert [cell["position"] for cell in cells] == list(range(6))
    assert [page["total"] for page in pages] == [6, 6]
    values = "SELECT max(value) AS v, count(*) AS n FROM metrics WHERE run = 'first' AND scope = 'central' AND metric = 'accuracy'"
    ((most, rounds),) = viewer.post("/api/sql", json={"query": values}).json()["rows"]
    assert (cells[0]["run"], cells[0]["rounds"]) == ("first", rounds)
    assert cells[0]["metrics"]["accuracy"]["most"] == most
    assert (cells[3]["rounds"], cells[3]["metrics"]) == (None, {})


def test_why_a_cell_failed_and_where_its_notebook_lies_is_for_operators(calls):
    seen, hidden = (
        calls(role).get("/api/studies/alpha").json()["items"] for role in ("operator", "viewer")
    )
    assert (seen[1]["why"], hidden[1]["why"]) == ("ZeroDivisionError: <b>division</b>", HIDDEN)
    assert (seen[0]["notebook"][-14:], hidden[0]["notebook"]) == ("notebook.ipynb", "")
    assert calls(None).get("/api/studies").status_code == 401


def test_of_a_path_that_a_cell_was_given_viewers_see_the_last_part(calls, state):
    cell = state.study_cells("alpha")[3]
    given = dict(cell.parameters) | {"data": "/srv/ada/patients.csv"}
    state.put_cell(replace(cell, parameters=given))
    seen, hidden = (
        calls(role).get("/api/studies/alpha").json()["items"][3]["parameters"]
        for role in ("operator", "viewer")
    )
    state.put_cell(cell)
    assert (seen, hidden) == (given, given | {"data": "patients.csv"})


def test_another_version_is_told_when_something_became_of_a_cell(calls, state):
    first = calls("viewer").get("/api/studies")
    known = {"If-None-Match": first.headers["etag"]}
    assert calls("viewer").get("/api/studies", headers=known).status_code == 304
    cell = state.study_cells("alpha")[3]
    state.put_cell(replace(cell, outcome=Outcome.RUNNING))
    again = calls("viewer").get("/api/studies", headers=known)
    state.put_cell(cell)
    assert again.status_code == 200
    assert again.json()["items"][0]["version"] != first.json()["items"][0]["version"]


def test_of_a_study_that_is_not_there_the_nearest_is_offered(calls):
    answer = calls("viewer").get("/api/studies/alpah")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
    assert "'alpha'" in answer.json()["error"]["hint"]
