"""Rows of a lab that another process holds: it is asked to write them, and nobody else can."""

import os
import re
import signal
from pathlib import Path

import pytest

import flnb
from flnb.coordinator.acting import request
from flnb.coordinator.history import holding
from flnb.coordinator.history.moving import roll_back
from flnb.core import Status
from flnb.core.errors import LabHeldError, LabLostError, RoundStateError
from flnb.store import LabStore, RoundKey
from flnb.store.lease import Holder
from flnb.testing.stores import sample_closing
from tests.e2e.victims import await_
from tests.shared.holding import RUN

SCRIPT = Path(__file__).parent / "holding.py"
FIRST = RoundKey(RUN.id, 1, 1)
PLACES = [
    "folder",
    "folder and database",
    pytest.param("s3 and database", marks=pytest.mark.long),  # rows are where they are without it
]
pytestmark = pytest.mark.timeout(180)


@pytest.fixture(params=PLACES)
def where(request, tmp_path, monkeypatch):
    """Address and state of a new lab with one committed round, as far as rows know."""
    state = None if request.param == "folder" else request.getfixturevalue("state_url")
    address = tmp_path / "lab"
    if request.param.startswith("s3"):
        for name, value in request.getfixturevalue("bucket").environment().items():
            monkeypatch.setenv(name, value)
        address = f"s3://models/{tmp_path.name}"
    store = LabStore.open(address, state)
    store.state.create_run(RUN)
    store.state.close_round(sample_closing(1, snapshot="ABC"))
    store.close()
    return address, state


@pytest.fixture
def hold(nursery, tmp_path):
    """Let another process hold a lab."""
    born = []

    def hold(where, name="other", lease_s=15):
        credentials = [f"{key}={value}" for key, value in os.environ.items() if "AWS_" in key]
        place = (where[0], where[1] or "-", tmp_path / name, lease_s)
        born.append(nursery.begin("script", SCRIPT, *place, *credentials))
        lab = flnb.open(*where)
        await_(lambda: holds(lab, born[-1]), "it does not take the lab")
        return born[-1]

    yield hold
    for victim in born:
        victim.kill()


def holds(lab, process):
    holder = lab.store.holder
    return holder is not None and holder.pid == process.pid


def test_a_run_that_was_kept_from_before_is_marked_by_whoever_holds_the_lab_now(where, hold):
    lab = flnb.open(*where)
    lab.store.lease().release()
    run, state = lab.run(RUN.name), lab.store.state
    run.alias("mine", 1)
    hold(where)
    assert state.pending_commands() == []
    run.alias("serving", 1, reason="good")
    run.alias("serving", 1)
    run.revert_alias("serving")
    run.protect(reason="ours")
    assert run.branch("b", at=1, rounds=7).plan.rounds == 7
    assert run.forget_updates() == 0
    assert len(state.names_over_time(RUN.id, "serving")) == 3
    assert (state.run(RUN.id).protected, state.names(RUN.id)["serving"].key) == (True, FIRST)
    answers = [state.command(number).result for number in range(1, 7)]
    assert answers == ["done"] * 6
    with pytest.raises(RoundStateError, match="has a branch 'quiet-otter/b' already"):
        run.branch("b", at=1)


def test_rows_are_refused_while_another_process_holds_the_lab(where, hold):
    lab = flnb.open(*where)
    lab.store.lease().release()
    state, holder = lab.store.state, hold(where, lease_s=6)
    before = state.log_head()
    for write in (
        lambda: state.give_name("mine", FIRST, request("")),
        lambda: state.protect(RUN.id, request("")),
        lambda: state.move_head(RUN.id, (1, 1), None, request("")),
        lambda: state.expire([FIRST], request("")),
        lambda: state.close_round(sample_closing(2)),
    ):
        with pytest.raises(LabHeldError, match=rf"held by coordinator \(process {holder.pid} on "):
            write()
    assert (state.log_head(), state.head(RUN.id).round) == (before, 1)
    assert state.open_invites() == {}
    holder.kill()
    await_(lambda: lab.store.holder is None, "the lease does not end")
    state.protect(RUN.id, request(""))


def test_updates_that_this_machine_kept_are_in_the_row_that_the_holder_writes(where, hold):
    lab = flnb.open(*where)
    for number in (1, 2):  # it drove them before
        lab.store.kept.begin(RoundKey(RUN.id, 1, number)).finish()
    hold(where)
    assert lab.run(RUN.name).forget_updates(reason="over") == 2
    assert lab.store.kept.rounds(RUN.id) == []
    last = lab.store.state.operations(RUN.id)[-1]
    assert (last.verb, last.details["rounds"]) == ("forget-updates", [1, 2])


def test_what_a_holder_that_stands_still_was_asked_is_taken_back(where, hold, monkeypatch):
    lab, holder = flnb.open(*where), hold(where)
    run, state = lab.run(RUN.name), lab.store.state
    run.alias("before", 1)  # so that it does not stand still within a transaction of its start
    os.kill(holder.pid, signal.SIGSTOP)
    monkeypatch.setattr(holding, "_PATIENCE_S", 0.4)
    for verb, ask in (
        ("alias", lambda: run.alias("serving", 1)),
        ("rollback", lambda: roll_back(lab, RUN.id, (1, 1), None, request("back"))),
    ):
        with pytest.raises(LabHeldError, match=rf"process {holder.pid} on .* UTC\n") as held:
            ask()
        assert re.match(rf"it has not answered for \d s: {verb} was taken back", held.value.hint)
    os.kill(holder.pid, signal.SIGCONT)
    monkeypatch.setattr(holding, "_PATIENCE_S", 60.0)
    run.alias("candidate", 1)
    assert sorted(state.names(RUN.id)) == ["before", "candidate"]
    assert state.head(RUN.id).round == 1


@pytest.mark.parametrize("where", PLACES[1:], indirect=True)
def test_a_process_that_lost_the_lab_writes_nothing_and_may_ask(where, hold, tmp_path):
    lost, lab = hold(where, "lost", lease_s=2), flnb.open(*where)
    lab.run(RUN.name).alias("before", 1)  # so that it does not stand still while it starts
    os.kill(lost.pid, signal.SIGSTOP)
    await_(lambda: lab.store.holder is None, "the lease does not end")
    other = hold(where)
    (tmp_path / "lost.go").touch()
    os.kill(lost.pid, signal.SIGCONT)
    lost.wait()
    said = (tmp_path / "lost.txt").read_text()
    assert said.startswith("LabLostError: lab ")
    assert f"process {other.pid}" in said
    assert sorted(lab.store.state.names(RUN.id)) == ["before", "theirs"]


@pytest.mark.parametrize("where", PLACES[1:2], indirect=True)
def test_a_lab_that_was_lost_and_let_go_again_is_written_by_taking_it_anew(where):
    lab = flnb.open(*where)
    lab.store.state.set_status(RUN.id, Status.FINISHED)
    lab.store.state.begin_epoch(Holder.here("coordinator"), 0.0)
    flnb.open(*where).store.lease().release()
    with pytest.raises(LabLostError):
        lab.store.state.protect(RUN.id, request(""))
    lab.run(RUN.name).protect(reason="ours")
    assert lab.store.state.run(RUN.id).protected
    assert lab.store.state.epochs()[-1].holder.who == "protect"
