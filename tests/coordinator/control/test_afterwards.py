"""Rounds done again, commits let go, and a look whether all is as written, through a connection."""

import json
from datetime import UTC, datetime, timedelta

import pytest

import flnb
from flnb.core.clock import SystemClock
from flnb.core.errors import AccessRefusedError, NotFoundError, PlanError, RoundStateError
from flnb.store import EXPIRED, FREED, LabStore
from flnb.transport.v1 import control_pb2 as pb


class Later(SystemClock):
    """Forty days ahead, so that commits are old."""

    def now(self):
        return datetime.now(UTC) + timedelta(days=40)


@pytest.fixture(scope="module")
def coord(tmp_path_factory, task):
    store = LabStore.open(tmp_path_factory.mktemp("again") / "lab", clock=Later())
    with flnb.Coordinator(flnb.Lab(store)) as coordinator:
        coordinator.simulate(task, workers=0)
        local = flnb.Local(epochs=1, batch_size=32, lr=0.1)
        plan = flnb.Plan(strategy=flnb.FedAvg(local=local), rounds=6, invite=4, seed=1)
        plan = plan.replace(commit_every=1, keep_updates=3, need=1)
        coordinator.run(plan, task, name="otter").wait(60)
        yield coordinator


@pytest.fixture
def here(coord):
    return coord.lab.run("otter")


@pytest.fixture
def far(person):
    return person().attach("otter")


def test_a_replay_through_a_connection_is_that_of_the_lab(here, far, coord):
    out = str(here.round(5).closing.updates["client"][0])
    preview, same = far.replay(3, exclude={out}), here.replay(3, exclude={out})
    assert repr(preview) == repr(same)
    made = preview.apply("it lies")
    assert made.name == preview.apply("it lies").name == f"otter/{same.branch}"
    assert made.resume().wait(60).view.round == 6
    alike = far.replay(3).apply("to see").resume().wait(60)
    assert alike.parameters_sha256 == here.parameters_sha256 != made.parameters_sha256
    done = coord.lab.operations.df().query("verb == 'replay'")
    assert done["actor"].tolist() == ["dr-lee"] * 2
    assert done["reason"].tolist() == ["it lies", "to see"]


def test_what_cannot_be_replayed_is_refused_in_the_same_words(far):
    with pytest.raises(RoundStateError, match="the updates of rounds 1–3 of otter are not kept"):
        far.replay(0).apply("to see")
    with pytest.raises(NotFoundError, match="client-77"):
        far.replay(3, exclude={"client-77"})
    with pytest.raises(PlanError, match="needs a reason"):
        far.replay(3).apply(" ")


def test_a_replay_that_was_looked_at_before_the_head_was_moved_is_refused(person, here):
    branch = here.branch("moved", at=4).resume().wait(60)
    seen = person().attach("otter/moved").replay(4)
    branch.rollback(to=5).apply("elsewhere")
    branch.resume().wait(60)
    with pytest.raises(RoundStateError, match="was moved since somebody looked"):
        seen.apply("too late")


def test_old_commits_are_looked_at_by_operators_and_let_go_by_admins(person, coord, here):
    preview = person("operator").expire("otter", older_than="30d", keep="tagged")
    assert repr(preview) == repr(coord.lab.expire("otter", older_than="30d", keep="tagged"))
    with pytest.raises(AccessRefusedError, match="admin"):
        preview.apply("disk")
    gone = {key.round for key in preview.goes if key.run == here.id}
    mine = person("admin", name="ada").expire("otter", older_than="30d", keep="tagged")
    freed = mine.apply("disk")
    assert freed == mine.apply("disk") != (0, 0)
    rounds = {one.round for one in coord.lab.run("otter").history.rounds if one.expired}
    assert gone <= rounds
    log = coord.lab.operations.df()
    assert set(log[log["verb"].isin([EXPIRED, FREED])]["actor"]) == {"ada"}
    with pytest.raises(PlanError, match="never removed"):
        person("operator").expire("otter", older_than="1h")


def test_a_lab_is_verified_through_a_connection_and_not_by_viewers(person, coord):
    verdict = person("operator").verify()
    assert verdict == coord.lab.verify()
    assert (verdict.problems, verdict.commits > 0) == ((), True)
    assert person("operator").verify("00" * 32).problems[0].endswith(f"not with {'00' * 32}")
    viewer = person("viewer", name="eve")
    for ask in (viewer.verify, viewer.expire, lambda: viewer.attach("otter").replay(3)):
        with pytest.raises(AccessRefusedError):
            ask()


@pytest.mark.parametrize("moment", ["", "soon", "2026-01-01T00:00:00"])
def test_a_moment_that_is_none_is_refused(person, moment):
    wire = person("admin")._wire
    request = pb.ExpireRequest(run="otter", before=moment, reason="x", id="y")
    with pytest.raises(PlanError, match="ISO 8601"):
        json.loads(wire.whole("Expire", request))
