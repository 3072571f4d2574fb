"""Damaged commits: named to the chunk, never used, and a run goes on from the commit before."""

import shutil
import sqlite3
import warnings

import pytest

import flnb
from flnb.coordinator.history.verifying import verify
from flnb.core.errors import (
    DamagedError,
    LabVersionError,
    NotFoundError,
    RoundStateError,
    StoreError,
)
from flnb.core.view import Status

TASK = flnb.tasks.digits(model="softmax", split=flnb.IID(clients=6, seed=0))


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """Six of eight rounds with a commit each other one; what eight lead to; a branch at 4."""
    folder = tmp_path_factory.mktemp("original") / "lab"
    local = flnb.Local(epochs=1, batch_size=32, lr=0.1)
    plan = flnb.Plan(strategy=flnb.FedAvgM(local=local), rounds=6, invite=4, seed=1, commit_every=2)
    with flnb.Coordinator(folder) as coord:
        coord.simulate(TASK, workers=0)
        coord.run(plan.replace(rounds=8), TASK, name="whole").wait(60)
        run = coord.run(plan, TASK, name="otter").wait(60)
        run.branch("lr", at=4)
        coord.lab.store.state.set_status(run.id, Status.PAUSED)
    return folder


@pytest.fixture
def lab(original, tmp_path):
    shutil.copytree(original, tmp_path / "lab")
    return flnb.open(tmp_path / "lab")


def flip(lab, round_, group):
    """Change one bit of the chunk that a group of a commit of `otter` lies in."""
    history = lab.store.history
    data = history.read(lab.run("otter").checkpoint(round_).snapshot, [group])[group].tobytes()
    files = (lab.path / "history" / "chunks").iterdir()
    same = (one for one in files if one.read_bytes() == data)
    file = max(same, key=lambda one: one.stat().st_mtime_ns)  # `whole` wrote the same before
    file.write_bytes(bytes([data[0] ^ 1]) + data[1:])


def go_on(lab):
    with flnb.Coordinator(lab) as coord:
        coord.simulate(TASK, workers=0)
        return lab.run("otter").resume(rounds=8).wait(60)


@pytest.mark.parametrize("group", ["parameters", "optimiser"])
def test_a_run_goes_on_from_the_commit_before_and_says_so(lab, group):
    flip(lab, 6, group)
    with pytest.warns(UserWarning, match=rf"chunk 0 of {group} .* rounds 5 to 6 are run again"):
        run = go_on(lab)
    assert run.parameters_sha256 == lab.run("whole").parameters_sha256
    told = [one for one in lab.store.state.operations(run.id) if one.verb == "damaged"]
    assert f"of round 6 of otter is damaged: chunk 0 of {group}" in told[0].reason
    assert verify(lab.store).problems == ()


def test_until_a_commit_is_made_again_its_round_says_what_became_of_it(lab):
    flip(lab, 6, "parameters")
    checkpoint = lab.run("otter").checkpoint(6)
    with pytest.raises(DamagedError) as damage:
        checkpoint.model()
    asked = flnb.coordinator.acting.request(damage.value.message)
    lab.store.state.drop_damaged(checkpoint.key, asked)
    rows = lab.run("otter").history.df().query("branch == 'main'").set_index("round")
    assert "was damaged; given up" in rows.loc[6, "expired"]


def give_up(lab, *keys):
    for key in keys:
        lab.store.state.drop_damaged(key, flnb.coordinator.acting.request("damaged"))


def test_an_alias_whose_commit_was_given_up_means_no_earlier_one(lab):
    run = lab.run("otter")
    whole = run.alias("serving", 6).sha256
    give_up(lab, run.checkpoint("@serving").key, run.alias("first", 2).key)
    with pytest.raises(RoundStateError, match="commit of round 2, which @first names"):
        run.checkpoint("first")
    says = "commit of round 6, which @serving names, was damaged and given up\n→ run.alias"
    for asks in (run.checkpoint, run.rollback, lambda name: run.branch("b", at=name)):
        with pytest.raises(RoundStateError, match=says):
            asks("@serving")
    assert go_on(lab).checkpoint("@serving").sha256 == whole  # made again


def test_a_head_that_was_left_behind_means_its_last_commit_while_there_is_one(lab):
    run = lab.run("otter")
    run.rollback(to=2).apply("x")
    kept = run.checkpoint("before-rollback-1").key
    assert kept.round == 6
    give_up(lab, kept)
    assert run.checkpoint("before-rollback-1").round == 4
    give_up(lab, kept._replace(round=4), kept._replace(round=2))
    with pytest.raises(NotFoundError, match="no commit up to round 6 of the head that goes by"):
        run.checkpoint("before-rollback-1")


def test_two_damaged_commits_are_passed_over(lab):
    flip(lab, 6, "parameters")
    snapshot = lab.run("otter").checkpoint(4).snapshot
    (lab.path / "history" / "snapshots" / snapshot).unlink()
    with pytest.warns(match="from the commit of round 2"), pytest.warns(match="rounds 5 to 6"):
        run = go_on(lab)
    assert run.parameters_sha256 == lab.run("whole").parameters_sha256


def test_a_commit_that_cannot_be_read_now_is_not_given_up(lab):
    chunks = lab.path / "history" / "chunks"
    chunks.rename(chunks.with_name("aside"))
    chunks.symlink_to(chunks)  # a loop, which stands for files and rights that a process may lack
    with pytest.raises(StoreError, match="cannot be used") as unreadable:
        go_on(lab)
    assert not isinstance(unreadable.value, DamagedError)
    chunks.unlink()
    chunks.with_name("aside").rename(chunks)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run = go_on(lab)
    assert not [one for one in lab.store.state.operations(run.id) if one.verb == "damaged"]
    assert run.parameters_sha256 == lab.run("whole").parameters_sha256


def test_a_damaged_checkpoint_names_the_nearest_that_are_whole(lab):
    flip(lab, 4, "parameters")
    with pytest.raises(DamagedError, match=r"round 4 of otter is damaged: chunk 0 of param") as bad:
        lab.run("otter").checkpoint(4).model()
    assert "the nearest that are whole are of rounds 2 6" in bad.value.hint
    assert lab.run("otter").checkpoint(6).model().sha256() == lab.run("otter").parameters_sha256


def test_what_a_branch_stands_on_is_not_given_up_for_it(lab):
    flip(lab, 4, "parameters")
    with flnb.Coordinator(lab) as coord:
        coord.simulate(TASK, workers=0)
        with pytest.raises(DamagedError, match="round 4 of otter") as bad:
            lab.run("otter/lr").resume()
        assert "rollback(to=3)" in bad.value.hint
        lab.run("otter/lr").rollback(to=3).apply("damaged")
        assert lab.run("otter/lr").resume().wait(60).view.round == 6


def test_what_stands_on_a_commit_that_was_given_up_waits_until_it_is_made_again(lab):
    give_up(lab, lab.run("otter").checkpoint(4).key)
    with flnb.Coordinator(lab) as coord:
        coord.simulate(TASK, workers=0)
        with pytest.raises(DamagedError, match=r"otter/lr stands on round 4 of otter"):
            lab.run("otter/lr").resume()
        lab.run("otter/lr").rollback(to=3).apply("goes on from 2")
        assert lab.run("otter/lr").resume().wait(60).view.round == 6


@pytest.mark.parametrize("part", ["chunks", "manifests", "snapshots"])
def test_missing_and_torn_parts_of_a_commit_are_damage(lab, part):
    files = sorted((lab.path / "history" / part).iterdir(), key=lambda one: one.stat().st_mtime_ns)
    checkpoint = lab.run("otter").checkpoint(6)
    for file in files[-2:]:
        file.write_bytes(file.read_bytes()[:20])
    lab.store.history.close()
    with pytest.raises(DamagedError, match=f"commit {checkpoint.snapshot} of round 6 of otter"):
        checkpoint.model()
    for file in files[-2:]:
        file.unlink()
    lab.store.history.close()
    with pytest.raises(DamagedError, match=f"commit {checkpoint.snapshot} of round 6 of otter"):
        checkpoint.model()
    assert any("round 6 of otter" in problem for problem in verify(lab.store).problems)


def test_a_damaged_store_says_what_is_damaged(lab):
    (lab.path / "history" / "refs" / "branch.main" / "ref.json").unlink()
    assert verify(lab.store).commits == 7  # commits are found by their own names
    lab.store.close()
    with (lab.path / "state.db").open("r+b") as file:
        file.truncate(2000)
    for leftover in lab.path.glob("state.db-*"):
        leftover.unlink()
    with pytest.raises(StoreError, match=r"state\.db"):
        flnb.open(lab.path)


def test_a_lab_in_a_newer_format_is_left_as_it_is(lab):
    lab.store.close()
    with sqlite3.connect(lab.path / "state.db") as connection:
        connection.execute("UPDATE lab SET format = 99")
    with pytest.raises(LabVersionError, match="format 99, this flnb reads up to"):
        flnb.open(lab.path)


def test_a_branch_goes_on_from_no_other_model_that_was_made_in_the_place_of_its_base(lab):
    run, branch = lab.run("otter"), lab.run("otter/lr")
    before = run.checkpoint(4).sha256
    give_up(lab, run.checkpoint(6).key, run.checkpoint(4).key)
    with flnb.Coordinator(lab) as coord:
        coord.simulate(TASK, workers=0)
        coord.quarantine(str(run.round(4).clients.df()["client"][0]), "odd losses")
        run.resume().wait(60)
        assert run.checkpoint(4).sha256 != before
        with pytest.raises(RoundStateError, match="stands on round 4 of otter, which was made"):
            branch.resume()
        branch.rollback(to="@head").apply("the new one will do")
        assert branch.resume().wait(60).view.round == 6


def test_an_alias_means_no_other_model_that_was_made_in_the_place_of_its_own(lab):
    run = lab.run("otter")
    given = run.alias("serving", 6)
    give_up(lab, given.key)
    with flnb.Coordinator(lab) as coord:
        coord.simulate(TASK, workers=0)
        coord.quarantine(str(run.round(6).clients.df()["client"][0]), "odd losses")
        run = run.resume(rounds=8).wait(60)
        assert run.checkpoint(6).sha256 != given.sha256
        with pytest.raises(RoundStateError, match="@serving names, was made again and came out"):
            run.checkpoint("@serving")
