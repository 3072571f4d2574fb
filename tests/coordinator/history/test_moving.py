"""Branches and roll backs of real runs: same bits, nothing lost, done once."""

import threading
import time
from pathlib import Path

import pytest

import flnb
from flnb.coordinator.history.moving import move
from flnb.core.errors import HeadMovedError, NotFoundError, PlanError, RoundStateError, StoreError
from flnb.core.view import Status
from flnb.store import Request
from tests.e2e.guest_subject import unhurried

ROOT = Path(__file__).parent.parent.parent.parent


@pytest.fixture
def run(coord, plan, task):
    return coord.run(plan.replace(rounds=6, commit_every=2), task, name="otter").wait(60)


def numbers(run):
    rounds = run.rounds.df()
    return list(zip(rounds["branch"], rounds["generation"], rounds["round"], strict=True))


def test_a_branch_with_the_same_plan_goes_the_same_way(run):
    branch = run.branch("same", at=2)
    assert (branch.name, branch.status, branch.view.round) == ("otter/same", Status.PAUSED, 2)
    branch.resume().wait(60)
    assert branch.parameters_sha256 == run.parameters_sha256
    assert numbers(branch)[:3] == [("main", 1, 1), ("main", 1, 2), ("same", 1, 3)]


def test_a_branch_with_another_plan_goes_its_own_way_beside_the_first(run, plan):
    before = run.parameters_sha256
    server = flnb.FedAdam(server_lr=0.02, local=plan.strategy.local)
    branch = run.branch("adam", at=4, strategy=server, rounds=8).resume().wait(60)
    assert branch.view.round == 8
    assert branch.plan.strategy == server
    assert run.parameters_sha256 == before != branch.parameters_sha256
    assert run.view.round == 6


def test_a_branch_from_the_first_version(run):
    assert run.branch("again", at=0).resume().wait(60).parameters_sha256 == run.parameters_sha256


def test_a_branch_is_found_by_its_name_and_has_it_once(run, coord):
    run.branch("lr", at=2)
    assert coord.lab.run("otter/lr").name == "otter/lr"
    with pytest.raises(StoreError, match="already"):
        run.branch("lr", at=4)
    with pytest.raises(StoreError, match="'main' is the first branch of otter already"):
        coord.lab.run("otter/lr").branch("main", at=2)
    for name in ("", "a/b", "a b", "@x"):
        with pytest.raises(PlanError, match="branch's name"):
            run.branch(name, at=2)
    with pytest.raises(NotFoundError, match="commit of closed round '3'"):
        run.branch("odd", at=3)


def test_a_preview_says_what_would_happen_and_does_nothing(run):
    preview = run.rollback(to=3)
    assert preview.leaves == [3, 4, 5, 6]
    assert preview.again == [3]
    for words in (
        "nothing has happened",
        "kept as before-rollback-1",
        "run again: round 3, from the commit of round 2",
    ):
        assert words in repr(preview)
    assert run.view.round == 6


def test_a_roll_back_takes_the_head_back_and_resuming_goes_the_same_way(run):
    before = run.parameters_sha256
    run.rollback(to=2).apply("poisoned")
    assert (run.status, run.view.round, run.view.generation) == (Status.PAUSED, 2, 2)
    run.resume().wait(60)
    assert run.parameters_sha256 == before
    assert numbers(run)[1:3] == [("main", 1, 2), ("main", 2, 3)]


def test_undo_is_rolling_back_to_the_name_of_what_was_left_behind(run):
    before, rounds = run.parameters_sha256, numbers(run)
    run.rollback(to=2).apply("poisoned")
    run.resume(rounds=4).wait(60)
    run.rollback("before-rollback-1").apply("it was not")
    assert (run.parameters_sha256, numbers(run)) == (before, rounds)


def test_a_head_that_moved_offers_a_fresh_preview(run):
    stale = run.rollback(to=2)
    run.rollback(to=4).apply("first")
    with pytest.raises(HeadMovedError, match="nothing was done") as moved:
        stale.apply("second")
    moved.value.preview.apply("third")
    assert run.view.round == 2


def test_a_head_that_is_before_the_target_by_now_offers_nothing(run):
    stale = run.rollback(to=4)
    run.rollback(to=2).apply("first")
    with pytest.raises(HeadMovedError) as moved:
        stale.apply("second")
    assert moved.value.preview is None


def test_applying_twice_is_done_once_and_needs_a_reason(run, coord):
    preview = run.rollback(to=2)
    with pytest.raises(PlanError, match="reason"):
        preview.apply(" ")
    preview.apply("poisoned")
    preview.apply("poisoned")
    moves = [one for one in coord.lab.store.state.operations(run.id) if one.verb == "rollback"]
    assert [(one.reason, one.details["base"][2]) for one in moves] == [("poisoned", 2)]


def test_only_to_where_it_was(run):
    for target in (6, 7, -1):
        with pytest.raises(PlanError, match="rounds 0 to 5"):
            run.rollback(to=target)
    with pytest.raises(NotFoundError, match="before-rolback"):
        run.rollback("before-rolback")


@pytest.fixture
def unhurried_run(coord, plan):
    """A run that is within a round most of the time."""
    learning = unhurried()
    coord.simulate(learning, workers=0)
    return coord.run(plan.replace(rounds=50, commit_every=1), learning)


def test_a_run_that_goes_on_gives_its_open_round_up(unhurried_run):
    run = unhurried_run
    while run.view.round < 2:
        time.sleep(0.01)
    run.rollback(to=1).apply("too soon")
    assert (run.status, run.view.round) == (Status.PAUSED, 1)
    assert run.checkpoint().round == 1


def test_a_run_that_goes_on_does_so_after_a_refusal(unhurried_run):
    run = unhurried_run
    while run.view.round < 2:
        time.sleep(0.01)
    run.protect(reason="published")
    with pytest.raises(RoundStateError, match="protected"):
        run.rollback(to=1).apply("too soon")
    seen = run.view.round
    while run.view.round == seen:
        time.sleep(0.01)
    assert run.view.generation == 1


def test_protection_and_aliases_are_in_the_way(run, coord):
    run.protect(reason="published")
    with pytest.raises(RoundStateError, match="protected"):
        run.rollback(to=2).apply("try")
    run.protect(False)
    request = Request(id="a", actor="ada", reason="")
    coord.lab.store.state.give_name("serving", run.checkpoint(4).key, request)
    assert run.rollback(to=2).blocked_by == ["@serving"]
    with pytest.raises(RoundStateError, match="@serving"):
        run.rollback(to=2).apply("try")
    run.rollback(to=4).apply("keeps it")


def test_without_a_coordinator_the_lab_is_taken_for_a_moment(run, coord, tmp_path):
    coord.stop()
    lab = flnb.open(tmp_path / "lab")
    lab.run("otter").rollback(to=2).apply("poisoned")
    assert lab.run("otter").view.round == 2
    assert lab.store.holder is None


def test_another_process_asks_the_coordinator_that_holds_the_lab(run, tmp_path, interpreters):
    program = (
        "import flnb; run = flnb.open(sys.argv[1]).run('otter')\n"
        "run.rollback(to=2).apply('from elsewhere'); print(run.branch('far', at=2).name)"
    )
    done = interpreters.run(program, tmp_path / "lab")
    assert done.stdout == "otter/far\n", done.stderr
    assert (run.view.round, run.view.generation) == (2, 2)


def test_the_graph_shows_every_generation_and_branch(run):
    run.branch("lr", at=2).resume().wait(60)
    run.rollback(to=4).apply("poisoned")
    lines = repr(run.history).splitlines()
    assert [line.split("  ")[0] for line in lines[1:]] == [
        "main gen 1",
        "└ main gen 2",
        "└ lr gen 1",
    ]
    assert "@before-rollback-1 (6)" in lines[1]
    markup = run.history._repr_mimebundle_()["text/html"]
    assert "stroke-dasharray" in markup
    frame = run.history.df()
    assert frame.query("on_line")["round"].tolist() == [1, 2, 3, 4]
    assert len(frame) == 10


@pytest.fixture
def paused(coord, plan, task):
    """A run that rests after a round or two, and goes on for a while if it is resumed."""
    return coord.run(plan.replace(rounds=12, commit_every=1), task).pause().wait(60)


def test_nobody_lets_a_run_go_on_while_it_is_rolled_back(paused, coord, monkeypatch):
    generations = []

    def resume():
        coord.resume(paused.name).wait(60)
        generations.append(coord.lab.run(paused.name).rounds.df()["generation"].iloc[-1])

    resuming = threading.Thread(target=resume)

    def moves(*arguments, **options):
        resuming.start()
        resuming.join(0.3)  # time enough for a round
        move(*arguments, **options)

    monkeypatch.setattr("flnb.coordinator.history.moving.move", moves)
    paused.rollback(to=0).apply("poisoned")
    resuming.join()
    assert (generations, paused.view.generation, paused.view.round) == ([2], 2, 12)


def test_a_run_goes_on_if_its_head_cannot_be_moved(paused, coord, monkeypatch):
    def full(*_):
        raise StoreError("as if the disk were full")

    monkeypatch.setattr(coord, "give_up", lambda run: True)  # it went on until now
    monkeypatch.setattr(coord.lab.store.state, "move_head", full)
    with pytest.raises(StoreError, match="full"):
        paused.rollback(to=0).apply("poisoned")
    assert (paused.wait(60).status, paused.view.generation) == (Status.FINISHED, 1)


def test_what_forbids_a_roll_back_is_seen_before_anything_is_given_up(paused, coord, monkeypatch):
    preview = paused.rollback(to=0)
    given_up = []
    monkeypatch.setattr(coord, "give_up", given_up.append)
    paused.protect(reason="published")
    with pytest.raises(RoundStateError, match="protected"):
        preview.apply("poisoned")
    assert given_up == []
    paused.protect(False)
    preview.apply("poisoned")
    assert given_up == [paused.id]
    monkeypatch.setattr(coord, "redraw", None)
    preview.apply("poisoned")  # the same request: it was done, and nothing is done
    assert given_up == [paused.id]
