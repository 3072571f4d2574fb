"""A client in quarantine is drawn for no round until it is released, whoever says so, and whoever asks."""

import json
from itertools import groupby

import pytest

import flnb
from flnb.core.errors import AccessRefusedError, NotFoundError, PlanError, RoundStateError
from flnb.core.view import Status
from flnb.store import Request, RoundKey

RESTS, REASON = "c002", "its losses are odd"


def clients_of(coord, run):
    rows = coord.sql(f"SELECT DISTINCT client FROM assignments WHERE run = '{run.name}'")
    return {row["client"] for row in rows}


@pytest.fixture
def everybody(plan):
    return plan.replace(invite=5, rounds=6)


def test_who_rests_is_drawn_for_no_round(coord, everybody, task):
    coord.quarantine(RESTS, REASON)
    run = coord.run(everybody, task).wait(60)
    assert clients_of(coord, run) == {"c000", "c001", "c003", "c004", "c005"}


def test_who_is_released_is_drawn_again(coord, everybody, task):
    coord.quarantine(RESTS, REASON)
    coord.release(RESTS, "looked at")
    assert coord.quarantines == {}
    run = coord.run(everybody, task).wait(60)
    assert RESTS in clients_of(coord, run)


def test_a_run_waits_for_who_rests_and_goes_on_when_it_is_released(coord, plan, task, until):
    run = coord.run(plan.replace(invite=6, rounds=200), task)
    until(lambda: run.view.round >= 1)
    coord.quarantine(RESTS, REASON)
    until(lambda: run.view.awaits)
    stood = run.view.round
    assert (run.view.awaited, run.view.here) == (6, 5)
    coord.release(RESTS)
    until(lambda: run.view.round > stood)
    run.stop()
    run.wait(60)


def test_the_log_says_who_let_whom_rest_and_why(coord):
    coord.quarantine(RESTS, REASON)
    coord.quarantine(RESTS, "said twice")
    coord.release(RESTS, "looked at")
    done = [(row["verb"], row["reason"], json.loads(row["details"])) for row in coord.operations]
    assert done == [
        ("quarantine", REASON, {"client": RESTS}),
        ("release", "looked at", {"client": RESTS}),
    ]


def test_lists_of_clients_say_who_rests(coord):
    coord.quarantine(RESTS, REASON)
    (row,) = coord.clients
    assert (row.client, row.doing, row.quarantine_reason) == (
        RESTS,
        "simulated, quarantined",
        REASON,
    )
    assert "quarantined" in repr(coord.clients)


def test_it_stands_in_the_lab_and_outlives_its_coordinator(tmp_path, task, everybody):
    with flnb.Coordinator(tmp_path / "lab") as coord:
        coord.simulate(task, workers=0)
        coord.quarantine(RESTS, REASON)
    with flnb.Coordinator(tmp_path / "lab") as coord:
        coord.simulate(task, workers=0)
        run = coord.run(everybody, task).wait(60)
        assert RESTS not in clients_of(coord, run)


def test_what_cannot_be_is_refused_with_a_hint(coord):
    with pytest.raises(NotFoundError, match="no client 'c02'") as refused:
        coord.quarantine("c02", REASON)
    assert "c002" in refused.value.hint
    with pytest.raises(PlanError, match="needs a reason"):
        coord.quarantine(RESTS, " ")
    with pytest.raises(RoundStateError, match="not in quarantine"):
        coord.release(RESTS)


def test_an_operator_elsewhere_says_so_too_and_a_viewer_does_not(coord, person):
    person("operator").quarantine(RESTS, REASON)
    assert coord.quarantines[RESTS].actor == "dr-lee"
    with pytest.raises(AccessRefusedError, match="operator"):
        person("viewer").release(RESTS)
    person("operator").release(RESTS)
    assert coord.quarantines == {}


def test_a_terminal_tells_the_coordinator_that_holds_the_lab(coord, everybody, task, interpreters):
    def flnb_client(*words):
        return interpreters.flnb("client", *words, "--lab", coord.lab.path)

    coord.listen()
    told = flnb_client("quarantine", RESTS, "--reason", REASON)
    assert (told.returncode, "released" in told.stderr) == (0, True)
    run = coord.run(everybody, task).wait(60)
    assert RESTS not in clients_of(coord, run)
    assert flnb_client("release", RESTS).returncode == 0
    assert flnb_client("release", RESTS).returncode == 3


def test_a_row_that_another_process_wrote_is_seen(coord, until):
    coord.lab.store.state.quarantine(RESTS, "somebody", REASON)
    until(lambda: RESTS in coord._resting)
    coord.lab.store.state.release(RESTS, "somebody", "")
    until(lambda: RESTS not in coord._resting)


def test_rounds_that_are_done_again_without_who_rests_by_then_are_told_and_shown_anew(
    coord, plan, task
):
    run, state = coord.run(plan.replace(commit_every=100), task).wait(60), coord.lab.store.state
    state.set_status(run.id, Status.PAUSED)
    key, before = RoundKey(run.id, 1, 4), run.view
    state.drop_damaged(key, Request(id="r", actor="ada", reason="a chunk is missing"))
    coord.quarantine(str(run.round(1).closing.assignments["client"][0]), REASON)
    seen = []
    run.on_change(lambda view: seen.append(view.round))
    assert run.resume().wait(60).status is Status.FINISHED
    assert [number for number, _ in groupby(seen)] == [4, 0, 1, 2, 3, 4]
    fresh = coord.lab.picture(state.run(run.id)).view
    assert (fresh.rows, fresh.curve) == (run.view.rows, run.view.curve)
    assert (fresh.rows != before.rows, fresh.bytes_up) == (True, run.view.bytes_up)
    assert coord.quarantines.keys().isdisjoint(clients_of(coord, run))
    assert coord.lab.verify().problems == ()
