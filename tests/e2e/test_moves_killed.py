"""`kill -9` while a head is moved or a branch begins: it has happened or it has not, nothing between.

What is killed is a process of its own, stopped at a failpoint: whoever moves the head, alone or asked.
Then eight of them move one head at the same moment.
"""

import ast
import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest

import flnb
from flnb.core.errors import RoundStateError
from flnb.core.view import Status
from tests.e2e.victims import await_

pytestmark = pytest.mark.timeout(300)

SCRIPT = """
import os
import signal
import sys
from pathlib import Path

import flnb
from flnb.core.errors import HeadMovedError

folder, what, *rest = sys.argv[1:]
if what == "roll back":
    flnb.open(folder).run("otter").rollback(to=2).apply("why")
elif what == "fork":
    flnb.open(folder).run("otter").branch("b", at=2)
elif what == "race":
    preview = flnb.open(folder).run("otter").rollback(to=int(rest[0]))
    Path(folder, f"ready-{os.getpid()}").touch()
    while not Path(folder, "go").exists():
        pass
    try:
        preview.apply("mine")
        answer = ["won"]
    except HeadMovedError as error:
        answer = [error.seen, error.now, error.preview and error.preview.seen]
    except Exception as error:
        answer = [repr(error)]
    Path(folder, f"answer-{os.getpid()}").write_text(repr((int(rest[0]), *answer)))
else:
    with flnb.Coordinator(folder) as coordinator:
        if what == "hold":
            signal.pause()
        elif what == "make":
            task = flnb.tasks.digits(model="softmax", split=flnb.IID(clients=4, seed=0))
            coordinator.simulate(task, workers=0)
            plan = flnb.Plan(rounds=4, invite=2, commit_every=1, seed=1)
            coordinator.run(plan, task, name="otter").wait()
        elif what == "carry on":
            for name in coordinator.carry_on():
                coordinator.done(coordinator.attach(name).id).exception()
        elif what == "guard":
            task = flnb.tasks.digits(model="softmax", split=flnb.IID(clients=4, seed=0))
            coordinator.simulate(task, workers=0)
            guard = flnb.Guard("training.loss < 9", then="rollback", limit=1)
            plan = flnb.Plan(rounds=4, invite=2, commit_every=1, seed=1, guards=(guard,))
            coordinator.run(plan, task, name="guarded").wait()
        else:
            coordinator.lab.resume(what).wait()
"""


@pytest.fixture(scope="module")
def finished(nursery, tmp_path_factory):
    """A script, and a lab with a run of four committed rounds."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "script.py").write_text(SCRIPT)
    nursery.run("script", folder / "script.py", folder / "lab", "make")
    return folder


@pytest.fixture
def begin(nursery, finished, tmp_path):
    """Let a process of its own do something to a copy of the lab, until it reaches a place."""

    def begin(what, failpoint="", *rest):
        if not (tmp_path / "lab").exists():
            shutil.copytree(finished / "lab", tmp_path / "lab")
        script = finished / "script.py"
        return nursery.begin("script", script, tmp_path / "lab", what, *rest, failpoint=failpoint)

    return begin


@pytest.fixture
def killed(begin, tmp_path):
    """The same, and kill it there; gives the run as the next process finds it."""

    def killed(what, failpoint):
        victim = begin(what, failpoint)
        victim.stopped()
        victim.kill()
        return flnb.open(tmp_path / "lab").run("otter")

    return killed


def head(run):
    """Where the head is, what was noted of moves, and what has a name."""
    state = run.source._lab.store.state
    now = (state.run(run.id).generation, state.head(run.id).round)
    moves = [one.verb for one in state.operations() if one.verb in {"rollback", "branch"}]
    return now, moves, sorted(state.names(run.id))


UNMOVED = ((1, 4), [], [])
MOVED = ((2, 2), ["rollback"], ["before-rollback-1"])


@pytest.mark.parametrize("failpoint", ["head-kept", "in-move"])
def test_a_roll_back_that_was_killed_too_early_has_not_happened(killed, failpoint):
    run = killed("roll back", failpoint)
    assert head(run) == UNMOVED
    run.rollback(to=2).apply("again")
    assert head(run) == MOVED


def test_a_roll_back_that_was_killed_afterwards_has_happened_and_can_be_undone(killed, begin):
    run = killed("roll back", "head-moved")
    assert head(run) == MOVED
    begin("otter").wait()
    assert run.checkpoint("before-rollback-1").sha256 == run.checkpoint().sha256
    run.rollback("before-rollback-1").apply("undo")
    assert (head(run)[0], run.checkpoint().generation) == ((3, 4), 1)


@pytest.mark.parametrize(("failpoint", "moves"), [("in-move", []), ("head-moved", ["branch"])])
def test_a_fork_that_was_killed_is_there_whole_or_not_at_all(killed, tmp_path, failpoint, moves):
    run = killed("fork", failpoint)
    assert head(run) == ((1, 4), moves, [])
    lab = flnb.open(tmp_path / "lab")
    assert len(lab.runs()) == 1 + len(moves)
    branch = lab.run("otter/b") if moves else run.branch("b", at=2)
    assert (branch.status, branch.view.round) == (Status.PAUSED, 2)


@pytest.mark.parametrize(("failpoint", "noted"), [("head-kept", UNMOVED), ("head-moved", MOVED)])
def test_who_asked_a_coordinator_that_was_killed_asks_again_and_it_is_done_once(
    begin, tmp_path, failpoint, noted
):
    coordinator = begin("hold", failpoint)
    lab = flnb.open(tmp_path / "lab")
    while lab.store.holder is None:
        assert not coordinator.ended()
    preview = lab.run("otter").rollback(to=2)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(preview.apply, "why")
        coordinator.stopped()
        coordinator.kill()
        with pytest.raises(RoundStateError, match="ended before it answered"):
            asked.result()
    assert head(lab.run("otter")) == noted
    preview.apply("why")
    assert head(lab.run("otter")) == MOVED


@pytest.mark.parametrize("failpoint", ["branch-reset", "chunks-written", "writer-after-commit"])
def test_a_branch_that_was_killed_as_it_began_goes_the_same_way(killed, begin, tmp_path, failpoint):
    begin("fork").wait()
    run = killed("otter/b", failpoint)
    begin("otter/b").wait()
    branch = flnb.open(tmp_path / "lab").run("otter/b")
    assert branch.parameters_sha256 == run.parameters_sha256
    assert branch.rounds.df()["branch"].tolist() == ["main", "main", "b", "b"]


@pytest.mark.parametrize("held", [False, True])
def test_of_eight_that_move_a_head_at_the_same_moment_one_does(begin, tmp_path, held):
    holder = begin("hold") if held else None
    racers = [begin("race", "", str(1 + number % 2)) for number in range(8)]
    lab = tmp_path / "lab"
    await_(lambda: len(list(lab.glob("ready-*"))) == 8, "not all are ready")
    (lab / "go").touch()
    for racer in racers:
        racer.wait()
    if holder:
        holder.kill()
    answers = [ast.literal_eval(answer.read_text()) for answer in lab.glob("answer-*")]
    (won,) = (to for to, *rest in answers if rest == ["won"])
    assert not [rest for _, *rest in answers if len(rest) == 1 and rest != ["won"]]
    lost = [(to, *rest) for to, *rest in answers if rest != ["won"]]
    fresh = {to: (2, won) if to < won else None for to in (1, 2)}  # what is left to roll back
    assert sorted(lost) == sorted((to, (1, 4), (2, won), fresh[to]) for to, *_ in lost)
    assert len(lost) == 7
    assert head(flnb.open(lab).run("otter")) == ((2, won), *MOVED[1:])


@pytest.mark.long
def test_a_run_that_was_killed_after_a_guard_moved_its_head_is_carried_on(begin, tmp_path):
    victim = begin("guard", "guard-went-back")
    victim.stopped()
    victim.kill()
    lab = flnb.open(tmp_path / "lab")
    assert lab.run("guarded").status is Status.INTERRUPTED
    assert head(lab.run("guarded"))[0] == (2, 0)
    begin("carry on").wait()
    run, state = lab.run("guarded"), lab.store.state
    assert "it went back from this round before" in run.view.error
    last = state.closing(run.id, 1)
    assert (last.generation, last.attempt) == (2, 1)  # another cohort was drawn
