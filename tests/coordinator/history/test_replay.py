"""Replays from kept updates: the same bits with everybody, another line without some, and expiry."""

import asyncio
import threading
from pathlib import Path
from unittest.mock import ANY

import pytest

import flnb
from flnb.coordinator.folding import Folding
from flnb.coordinator.replaying import Replay
from flnb.core.errors import NotFoundError, PlanError, RoundStateError, StoreError
from flnb.core.view import Status
from flnb.store import KeptUpdates
from flnb.tensors import CohortSum, Update

ROOT = Path(__file__).parent.parent.parent.parent


@pytest.fixture(scope="module")
def plan():
    local = flnb.Local(epochs=1, batch_size=32, lr=0.1)
    server = flnb.FedAdam(server_lr=0.02, local=local)  # its state must go along
    return flnb.Plan(
        strategy=server, rounds=6, invite=4, need=1, seed=1, commit_every=2, keep_updates=4
    )


@pytest.fixture(scope="module")
def lab_of_otter(tmp_path_factory, task, plan):
    with flnb.Coordinator(tmp_path_factory.mktemp("replay") / "lab") as coordinator:
        coordinator.simulate(task, workers=0, drop=0.1)
        coordinator.run(plan, task, name="otter").wait(60)
        yield coordinator


@pytest.fixture
def run(lab_of_otter):
    return lab_of_otter.lab.run("otter")


def digests(run):
    return {number: run.checkpoint(number).sha256 for number in (4, 6)}


def test_a_replay_that_leaves_nobody_out_gives_the_same_bits(run):
    preview = run.replay(2)
    assert "\n  added up again: rounds 3–6 (4)" in repr(preview)
    assert "unlearning" not in repr(preview)
    replayed = preview.apply("to see")
    assert (replayed.status, replayed.view.round) == (Status.PAUSED, 2)
    replayed.resume().wait(60)
    assert replayed.status is Status.FINISHED
    assert digests(replayed) == digests(run)
    stories = [one.round(5).why().partition("\n")[2] for one in (run, replayed)]
    assert stories[0] == stories[1]


def test_without_a_client_the_others_are_averaged_as_they_were(run, lab_of_otter):
    closing, store = run.round(3).closing, lab_of_otter.lab.store
    out = str(closing.updates["client"][0])
    preview = run.replay(2, exclude={out})
    assert f"without: {out}" in repr(preview)
    assert "not exact unlearning" in repr(preview)
    replayed = preview.apply("it lies").resume().wait(60)
    assert out not in replayed.round(3).clients.df()["client"].tolist()
    assert replayed.plan.exclude == (out,)
    assert digests(replayed) != digests(run)
    sums = CohortSum(run.model().layout)
    for one in store.kept.read(closing.round_key):
        if one.client != out:
            sums.fold(Update(sums.layout, one.values, one.integers), one.n_examples)
    updates = replayed.round(3).closing.updates
    assert sum(updates["weight"]) == sums.total_weight < sum(closing.updates["weight"])


def test_only_the_last_rounds_are_kept_and_others_are_said(run, lab_of_otter):
    kept = lab_of_otter.lab.store.kept.rounds(run.id)
    assert [key.round for key in kept] == [3, 4, 5, 6]
    preview = run.replay(0, exclude={"c000"})
    assert preview.missing == [1, 2]
    assert "\n  cannot be added up again: rounds 1–6 (6)" in repr(preview)
    assert "rounds 1–2: they would have to be trained again" in repr(preview)
    with pytest.raises(RoundStateError, match="rounds 1–2 of otter are not kept\n→ train=True"):
        preview.apply("too far back")


def test_training_again_needs_nothing_kept_and_leaves_the_client_out(run):
    again = run.replay(0, exclude={"c000"}, train=True).apply("from the start")
    again.resume().wait(60)
    assert again.view.round == 6
    asked = {name for n in range(1, 7) for name in again.round(n).clients.df()["client"]}
    assert "c000" not in asked
    assert len(asked) == 5


def test_a_replay_ends_where_the_line_did_and_then_trains_on(run):
    early = run.branch("early", at=4)
    early = early.resume(rounds=8).wait(60)
    longer = early.replay(4).apply("to see")
    assert longer.resume().wait(60).status is Status.FINISHED
    assert longer.parameters_sha256 == early.parameters_sha256


def test_what_cannot_be_replayed_is_refused_with_names(run):
    with pytest.raises(NotFoundError, match="no client in rounds 3–6 'client-77'"):
        run.replay(2, exclude={"client-77"})
    with pytest.raises(PlanError, match="no round after 6"):
        run.replay(6)
    with pytest.raises(NotFoundError, match="commit of closed round '3'"):
        run.replay(3)
    everybody = {f"c{n:03}" for n in range(6)}
    with pytest.raises(RoundStateError, match="rounds 5–6 nobody is left"):
        run.replay(4, exclude=everybody).apply("nobody")
    with pytest.raises(PlanError, match="needs a reason"):
        run.replay(2).apply(" ")


def test_a_preview_that_is_applied_twice_makes_one_branch(run, lab_of_otter):
    preview = run.replay(4)
    assert preview.apply("once").id == preview.apply("once").id
    (asked,) = lab_of_otter.lab.store.state.operations(preview.apply("once").id)
    assert (asked.verb, asked.reason, asked.details["of"][2]) == ("replay", "once", 6)


def test_a_replay_keeps_the_loop_from_nothing(run, monkeypatch):
    threads = []

    def note(kind, name):
        def noted(*arguments, **settings):
            threads.append(threading.current_thread().name)
            return known(*arguments, **settings)

        known = getattr(kind, name)
        monkeypatch.setattr(kind, name, noted)

    note(Folding, "drop")
    note(Replay, "draw")
    run.replay(4).apply("to see").resume().wait(60)
    assert {name.rpartition("_")[0] for name in threads} == {"flnb-io", "flnb-population"}


def test_two_workers_hand_over_the_same_updates(run, lab_of_otter, task, plan, tmp_path):
    with flnb.Coordinator(tmp_path / "lab") as other:
        other.simulate(task, workers=2, drop=0.1)
        there = other.run(plan, task).wait(60)
        assert digests(there) == digests(run)
        replayed = there.replay(2).apply("to see").resume().wait(60)
        assert digests(replayed) == digests(run)
        out = run.round(3).closing.updates["client"][0]
        both = [one.replay(2, exclude={str(out)}).apply("it lies") for one in (run, there)]
        assert digests(both[0].resume().wait(60)) == digests(both[1].resume().wait(60))


def test_updates_of_remote_clients_are_kept_and_replayed(tmp_path, plan):
    task = flnb.tasks.digits(model="softmax", split=flnb.IID(clients=2, seed=0))
    with flnb.Coordinator(tmp_path / "lab") as coordinator:
        invites = [coordinator.invite(name) for name in ("c000", "c001")]
        run = coordinator.run(plan.replace(rounds=3, invite=2, commit_every=1), task)
        clients = [flnb.Client(i.text, task, home=tmp_path / i.client) for i in invites]

        async def scene():
            stays = [asyncio.create_task(client.arun()) for client in clients]
            await asyncio.to_thread(run.wait, 60)
            for client in clients:
                client.stop()
            await asyncio.gather(*stays)

        asyncio.run(scene())
        remote = coordinator._populations[0].remote
        remote.stalls.append(9.0)  # as if it was told of since: of no round of a replay
        remote.notable.remarks["c000"] = "it came back"
        same = run.replay(1).apply("to see").resume().wait(60)  # nobody is here any more
        assert "stalled" not in list(same.round(2).closing.events["kind"])
        assert "it came back" not in str(list(same.round(2).closing.events["detail"]))
        assert [same.checkpoint(n).sha256 for n in (2, 3)] == [
            run.checkpoint(n).sha256 for n in (2, 3)
        ]
        alone = run.replay(1, exclude={"c001"}).apply("it lies").resume().wait(60)
        assert alone.round(3).closing.updates["client"].tolist() == ["c000"]


def test_kept_updates_are_forgotten_when_somebody_says_so(run, lab_of_otter):
    branch = run.branch("short", at=4).resume().wait(60)
    folder = lab_of_otter.lab.path / "kept" / branch.id
    assert len(list(folder.iterdir())) == 2
    assert branch.forget_updates(reason="the study is over") == 2
    assert list(folder.iterdir()) == []
    assert branch.replay(4).missing == [5, 6]
    last = lab_of_otter.lab.store.state.operations(branch.id)[-1]
    assert (last.verb, last.reason) == ("forget-updates", "the study is over")
    assert last.details == {"rounds": [5, 6], "request": ANY}, "by which what went is counted"


def test_the_log_does_not_say_that_updates_went_which_are_there(run, lab_of_otter, monkeypatch):
    branch = run.branch("full", at=4).resume().wait(60)
    state, kept = lab_of_otter.lab.store.state, lab_of_otter.lab.store.kept

    def refuse(*_, **__):
        raise StoreError("the disk is worn out")

    with monkeypatch.context() as patch:
        patch.setattr(KeptUpdates, "expire", refuse)
        with pytest.raises(StoreError):
            branch.forget_updates()
    assert [one.verb for one in state.operations(branch.id)][-1] != "forget-updates"
    assert [key.round for key in kept.rounds(branch.id)] == [5, 6]


DRIVEN = """
import flnb, sys
with flnb.Coordinator(sys.argv[1]) as coordinator:
    task = flnb.tasks.digits(model="softmax", split=flnb.IID(clients=3, seed=0))
    coordinator.simulate(task, workers=0)
    if not coordinator.runs():
        plan = flnb.Plan(rounds=4, invite=2, commit_every=1, keep_updates=4)
        coordinator.run(plan, task, name="otter").wait().replay(0).apply("to see")
    coordinator.lab.resume("otter/replay-0-1").wait()
"""


def test_a_replay_that_is_killed_goes_on_with_the_same_bits(tmp_path, interpreters):
    program = [DRIVEN, tmp_path / "lab"]
    victim = interpreters.start(*program, FLNB_FAILPOINT="after-closing:7")  # third of the replay
    victim.stopped()
    victim.close()
    lab = flnb.open(tmp_path / "lab")
    replay = lab.run("otter/replay-0-1")
    assert (replay.status, replay.view.round) == (Status.INTERRUPTED, 3)
    assert interpreters.run(*program).returncode == 0
    assert lab.run("otter/replay-0-1").parameters_sha256 == lab.run("otter").parameters_sha256
