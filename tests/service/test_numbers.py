"""Numbers that JSON has no word for: a run whose loss is infinite and whose metric is none is told all the same."""

import json
from urllib.parse import quote

import numpy as np
import pytest
from pydantic import TypeAdapter
from torch import nn

import flnb
from flnb.service.paging import Page
from flnb.service.shapes.lab import Events, Operation, Summary
from flnb.service.shapes.rounds import Round
from flnb.service.shapes.runs import RunDetail, Runs
from flnb.service.shapes.studies import Study, StudyDetail
from tests.service.listening import Ears
from tests.ui.places import make_study

NAMES = {"run": "odd", "round": "odd.1.2", "version": "odd.1.2", "client": "c001", "study": "alpha"}
PASSED_ON = {
    "/api/runs": Runs,
    "/api/runs/odd": RunDetail,
    "/api/rounds": Page[Round],
    "/api/metrics/summary": Summary,
    "/api/operations": Page[Operation],
    "/api/events": Events,
    "/api/studies": Page[Study],
    "/api/studies/alpha": StudyDetail,
}
"""What is answered as the coordinator wrote it."""
SIMULATED = {"/api/clients/{client}"}
"""What knows remote clients only, and says so of one that is simulated."""


def endless(outputs, targets):
    """A loss that is infinite though one can learn from it."""
    return nn.functional.cross_entropy(outputs, targets) + float("inf")


def nowhere(outputs, targets):
    return outputs[:, 0] * float("nan")


@pytest.fixture(scope="module")
def odd(coord):
    x = np.random.default_rng(0).normal(size=(60, 4)).astype("float32")
    examples = (x, (x[:, 0] > 0).astype("int64"))
    split = flnb.IID(clients=3, seed=0)
    parts = {"train": examples, "test": examples, "split": split, "loss": endless}
    task = flnb.Task(model=lambda: nn.Linear(4, 2), metrics=(nowhere,), **parts)
    local = flnb.Local(epochs=1, batch_size=20, lr=0.1)
    plan = flnb.Plan(strategy=flnb.FedAvg(local=local), rounds=3, invite=3, seed=1, commit_every=1)
    coord.simulate(task, workers=0)
    run = coord.run(plan, task, name="odd").wait(60)
    make_study(coord.lab, runs=("odd", "odd"))
    return run


def standard(text):
    """JSON as everybody can read it."""
    return json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))


def test_the_run_is_as_odd_as_that(odd):
    last = odd.view.rows[0].metrics
    assert (last["loss"], np.isnan(last["nowhere"])) == (float("inf"), True)


def test_every_endpoint_tells_null_for_what_is_no_number(odd, asks):
    operator = asks("operator")
    told = {}
    for path, methods in operator.get("/openapi.json").json()["paths"].items():
        if "get" not in methods or path == "/metrics" or path.endswith("/download"):
            continue
        where = path.format(**NAMES) if "{" in path else path
        answer = operator.get(where, params={"to": "1"} if path.endswith("/rollback") else {})
        assert answer.status_code == (404 if path in SIMULATED else 200), (path, answer.text)
        told[path] = standard(answer.text)
    assert told["/api/rounds/{round}"]["metrics"]["nowhere"] is None
    assert [one["loss"] for one in told["/api/rounds/{round}"]["clients"]] == [None] * 3
    assert told["/api/rounds"]["items"][0]["metrics"]["loss"] is None
    assert told["/api/runs/{run}"]["view"]["rows"][0]["metrics"]["loss"] is None
    assert told["/api/clients/{client}/history"]["items"][0]["loss"] is None
    nowhere = told["/api/studies/{study}"]["items"][0]["metrics"]["nowhere"]
    assert nowhere == {"last": None, "least": None, "most": None}


def test_what_is_done_to_such_a_run_is_told_too(odd, asks):
    operator = asks("operator")
    asked = {"name": "aside", "at": 2}
    for path, body in (
        ("branches", asked),
        ("aliases", {"name": "odd-one", "reason": "x", "at": 2}),
    ):
        told = operator.post(f"/api/runs/odd/{path}", json=body)
        assert (told.status_code, standard(told.text)["name"]) == (201, told.json()["name"])
    query = quote("to=odd-one", safe="=")
    assert operator.get(f"/api/runs/odd/rollback?{query}").status_code == 200


def test_listeners_hear_null_too(odd, coord, asks, until):
    ears = Ears()
    token = asks("operator").headers["authorization"].removeprefix("Bearer ")
    ear = ears.open(f"ws{coord.http[4:]}/ws/events", token, cursor=f"0.0.{coord.lab.id}")
    try:
        until(lambda: "round_complete" in ear.types)
    finally:
        ears.close()
    assert ear.of("round_complete")[0]["metrics"]["loss"] is None


@pytest.mark.parametrize("path", PASSED_ON)
def test_what_is_passed_on_unread_has_just_what_the_openapi_shows(odd, asks, path):
    told = asks("operator").get(path).json()
    read = TypeAdapter(PASSED_ON[path]).validate_python(told).model_dump(mode="json")
    assert names(read) == names(told)


def names(value):
    """All keys of a value, with those of the values within."""
    if isinstance(value, dict):
        return {name: names(one) for name, one in value.items()}
    return [names(one) for one in value] if isinstance(value, list) else None
