"""What people's programs do: steer runs, roll back, name, let rest, let in; each thing done once."""

import itertools

import pytest

from flnb.core.errors import PlanError

REASON = {"reason": "it got worse"}


_NUMBER = itertools.count(1)


@pytest.fixture
def finished(coord, plan, task):
    return coord.run(plan, task, name=f"run-{next(_NUMBER)}").wait(60)


@pytest.fixture
def endless(coord, plan, task, until):
    endless = plan.replace(rounds=100_000, commit_every="auto")
    run = coord.run(endless, task, name=f"endless-{next(_NUMBER)}")
    until(lambda: run.view.round >= 1)
    yield run
    run.stop()


def preview(caller, run, to):
    return caller.get(f"/api/runs/{run.name}/rollback", params={"to": to}).json()


def test_a_run_is_paused_resumed_and_stopped(asks, endless, until):
    operator = asks("operator")
    assert operator.post(f"/api/runs/{endless.name}/pause").status_code == 200
    until(lambda: operator.get(f"/api/runs/{endless.name}").json()["view"]["status"] == "paused")
    told = operator.post(
        f"/api/runs/{endless.name}/resume", json={"changes": {"rounds": 90_000}}
    ).json()
    assert told["view"]["status"] == "running"
    operator.post(f"/api/runs/{endless.name}/stop")
    until(lambda: operator.get(f"/api/runs/{endless.name}").json()["view"]["status"] == "stopped")


def test_an_order_that_would_do_nothing_says_so(asks, finished, endless, until):
    operator = asks("operator")
    for order in ("pause", "resume", "stop"):
        told = operator.post(f"/api/runs/{finished.name}/{order}")
        assert (told.status_code, told.json()["error"]["code"]) == (409, "round_state")
        assert f"is finished: it cannot {order}" in told.json()["error"]["message"]
    for order, after in (("resume", 200), ("stop", 200), ("stop", 200), ("pause", 409)):
        assert operator.post(f"/api/runs/{endless.name}/{order}").status_code == after, order
        until(lambda rests=order != "resume": endless.status.over == rests)


def test_an_open_round_is_stopped_by_an_admin_and_a_closed_one_is_not(asks, endless, until):
    admin = asks("admin")
    assert admin.post(f"/api/rounds/{endless.name}.1.1/stop").status_code == 409
    assert asks("operator").post(f"/api/rounds/{endless.name}.1.1/stop").status_code == 403

    def stopped():
        view = admin.get(f"/api/runs/{endless.name}").json()["view"]
        return (
            admin.post(f"/api/rounds/{endless.name}.1.{view['open_round']}/stop").status_code == 200
        )

    until(stopped)  # a round may close between the look and the order
    until(lambda: str(endless.status) == "stopped")


def test_a_roll_back_is_done_as_its_preview_said_and_once(asks, coord, finished):
    operator = asks("operator")
    seen = preview(operator, finished, "2")
    assert (seen["seen"], seen["leaves"]) == ([1, 4], [3, 4])
    for _ in range(2):
        told = operator.post(
            f"/api/runs/{finished.name}/rollback", json=REASON | {"digest": seen["digest"]}
        )
        assert (told.status_code, told.json()["view"]["generation"]) == (200, 2)
    done = [row["actor"] for row in finished.operations if row["verb"] == "rollback"]
    assert done == ["a-operator"]


def test_the_longest_names_can_be_rolled_back_and_longer_ones_are_refused(asks, coord, plan, task):
    operator, long = asks("operator"), "ä" * 100
    coord.run(plan, task, name=long).wait(60).branch(long, at=3)
    path = f"/api/runs/{long}:{long}"
    seen = operator.get(f"{path}/rollback", params={"to": "2"}).json()
    told = operator.post(f"{path}/rollback", json=REASON | {"digest": seen["digest"]})
    assert (told.status_code, told.json()["name"]) == (200, f"{long}/{long}")
    made = operator.post(f"/api/runs/{long}/branches", json={"name": "b" * 101})
    assert (made.status_code, "at most 100" in made.json()["error"]["message"]) == (422, True)
    with pytest.raises(PlanError, match="at most 100 characters"):
        coord.run(plan, task, name="r" * 101)


def test_the_second_of_two_roll_backs_is_refused_with_a_fresh_preview(asks, finished):
    operator = asks("operator")
    mine, others = preview(operator, finished, "3"), preview(operator, finished, "2")
    operator.post(f"/api/runs/{finished.name}/rollback", json=REASON | {"digest": others["digest"]})
    finished.resume().wait(60)
    late = operator.post(
        f"/api/runs/{finished.name}/rollback", json=REASON | {"digest": mine["digest"]}
    )
    error = late.json()["error"]
    assert (late.status_code, error["code"]) == (409, "head_moved")
    assert (error["details"]["seen"], error["details"]["now"]) == ([1, 4], [2, 4])
    fresh = REASON | {"digest": error["details"]["preview"]["digest"]}
    assert operator.post(f"/api/runs/{finished.name}/rollback", json=fresh).status_code == 200


def test_a_digest_that_somebody_changed_or_took_from_another_run_is_refused(asks, finished, coord):
    operator, digest = asks("operator"), preview(asks("operator"), finished, "2")["digest"]
    name = finished.name
    finished.branch("other", at=1)
    other = ("1" if digest[0] == "0" else "0") + digest[1:]
    for run, sent in ((name, other), (name, "x"), (f"{name}:other", digest)):
        told = operator.post(f"/api/runs/{run}/rollback", json=REASON | {"digest": sent})
        assert (told.status_code, told.json()["error"]["code"]) == (422, "plan"), told.text
    assert coord.attach(name).view.generation == 1


def test_a_branch_is_made_once_and_goes_by_a_colon(asks, finished):
    operator = asks("operator")
    asked = {"name": "slower", "at": 2, "changes": {"rounds": 5}, "id": "branch-0001"}
    made = [
        operator.post(f"/api/runs/{finished.name}/branches", json=asked).json() for _ in range(2)
    ]
    assert made[0]["id"] == made[1]["id"]
    assert (
        operator.get(f"/api/runs/{finished.name}:slower").json()["name"]
        == f"{finished.name}/slower"
    )
    again = operator.post(f"/api/runs/{finished.name}/branches", json=asked | {"id": "branch-0002"})
    assert (again.status_code, again.json()["error"]["code"]) == (409, "name_taken")


def test_an_id_that_was_used_for_one_deed_does_no_other(asks, finished):
    operator, path = asks("operator"), f"/api/runs/{finished.name}"
    asked = {"id": f"once-{finished.id}", "at": 2}
    assert operator.post(f"{path}/branches", json=asked | {"name": "one"}).status_code == 201
    other = operator.post(f"{path}/branches", json=asked | {"name": "two"})
    seen = preview(operator, finished, "2")
    back = REASON | {"digest": seen["digest"], "id": asked["id"]}
    for told in (other, operator.post(f"{path}/rollback", json=back)):
        assert (told.status_code, told.json()["error"]["code"]) == (409, "name_taken")
        assert f"'{finished.name}/one'" in told.json()["error"]["message"]
    assert finished.view.generation == 1


def test_a_name_is_given_under_a_condition_and_taken_back(asks, finished):
    operator, path = asks("operator"), f"/api/runs/{finished.name}/aliases"
    asked = REASON | {"name": "production", "at": 2}
    assert operator.post(path, json=asked).json()["version"].endswith(".1.2")
    held = operator.post(path, json=asked | {"at": 4, "condition": "accuracy > 2"})
    assert (held.status_code, held.json()["error"]["code"]) == (409, "round_state")
    operator.post(path, json=asked | {"at": 4, "condition": "accuracy > 0.1"})
    assert operator.post(f"{path}/production/revert", json=REASON).json()["round"] == 2
    given = operator.get(path).json()["items"]
    assert [one["round"] for one in given] == [2, 4, 2]


def test_a_client_rests_and_is_released(asks, coord):
    operator = asks("operator")
    told = operator.post("/api/clients/c002/quarantine", json=REASON).json()
    assert (told["quarantine_reason"], "c002" in coord.quarantines) == (REASON["reason"], True)
    listed = operator.get("/api/clients", params={"state": "quarantined"}).json()["items"]
    assert [one["client"] for one in listed] == ["c002"]
    assert operator.get("/api/clients").json()["simulated"] == {"digits-softmax": 6}
    assert operator.post("/api/clients/c002/release", json=REASON).status_code == 200
    assert operator.post("/api/clients/c002/release", json=REASON).status_code == 409
    assert coord.quarantines == {}


def test_a_client_is_invited_and_shut_out_by_an_admin(asks, coord):
    admin = asks("admin")
    made = admin.post("/api/invites", json={"client": "hospital-a", "expires": "1h"})
    assert (made.status_code, made.json()["text"].startswith("flnb1.")) == (201, True)
    assert made.headers["cache-control"] == "no-store"
    assert admin.get("/api/clients/hospital-a").json()["state"] == "invited"
    assert admin.post("/api/clients/hospital-a/revoke", json=REASON).status_code == 404
    assert [one.client for one in coord.clients] == []


def test_what_is_refused_leaves_nothing_half_done(asks, coord, finished):
    operator = asks("operator")
    runs = [run.name for run in coord.runs()]
    before = (coord.lab.store.state.log_head(), coord.lab.store.state.newest())
    bad = {"name": "x y", "at": 2, "changes": {"rounds": -1}}
    assert operator.post(f"/api/runs/{finished.name}/branches", json=bad).status_code == 422
    asked = REASON | {"name": "best", "at": 2}
    assert operator.post(f"/api/runs/{finished.name}/aliases", json=asked).status_code == 422
    assert operator.post("/api/clients/nobody/quarantine", json=REASON).status_code == 404
    assert (coord.lab.store.state.log_head(), coord.lab.store.state.newest()) == before
    assert [run.name for run in coord.runs()] == runs
