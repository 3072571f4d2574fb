"""Guests of a shared lab: a row each with a lease; a takeover ends them, and so does standing still."""

import os
import signal
from dataclasses import replace

import pytest

import flnb
from flnb.core import Status
from flnb.core.errors import CommitConflictError, LabHeldError, LabLostError, RoundStateError
from flnb.store import LabStore, Request, shared_lease
from flnb.testing.stores import sample_closing, sample_groups, sample_run
from tests.e2e import guest_subject
from tests.e2e.guests import Guests
from tests.e2e.victims import await_

LEASE_S = 2
KEY = "3f9a1c2b77aa"
NAME = "alpha-3f9a1c2b"
PLACES = ["folder", pytest.param("s3", marks=pytest.mark.long)]
pytestmark = pytest.mark.timeout(180)


@pytest.fixture(autouse=True)
def _quick_and_quiet(monkeypatch):
    monkeypatch.setattr(shared_lease, "LEASE_S", LEASE_S)
    monkeypatch.setenv("FLNB_PROGRESS", "off")


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """What the run ends with that has a lab to itself, in a folder."""
    with flnb.Coordinator(tmp_path_factory.mktemp("alone") / "lab") as coordinator:
        coordinator.simulate(guest_subject.task(), workers=0)
        run = coordinator.run(guest_subject.plan(), guest_subject.task())
        return run.wait().parameters_sha256


@pytest.fixture
def guests(nursery, tmp_path):
    guests = Guests(nursery, tmp_path)
    yield guests
    guests.end()


@pytest.fixture
def guest(guests, tmp_path, state_url):
    """Starts a guest on a machine of its own."""

    def begin(address, out, key=KEY, failpoint="", **options):
        machine = {"FLNB_CACHE_DIR": tmp_path / out}
        machine |= {name: value for name, value in os.environ.items() if "AWS_" in name}
        settings = {"state": state_url, "lease_s": LEASE_S} | machine | options
        return guests.begin(address, f"alpha/{key}", out, failpoint=failpoint, **settings)

    return begin


@pytest.fixture
def told(guests):
    return guests.told


def came(store):
    """Whether a guest is let in, which leaves at once."""
    try:
        store.be_guest("alpha-1").release()
    except RoundStateError:
        return False
    return True


def go_on(stopped):
    for process in [stopped.pid, *(child.pid for child in stopped.family())]:
        os.kill(process, signal.SIGCONT)


@pytest.mark.parametrize("place", PLACES)
def test_a_holder_and_two_guests_on_machines_of_their_own_train_at_once(
    place, address, state_url, guest, told, alone
):
    with flnb.Coordinator(flnb.open(address, state_url)) as holder:
        holder.simulate(guest_subject.task(), workers=0)
        guest(address, "one")
        guest(address, "two", key="0123456789ab")
        mine = holder.run(guest_subject.plan(), guest_subject.task()).wait()
        ends = [told("one"), told("two")]
        assert [end["parameters"] for end in ends] == [alone, alone]
        assert mine.parameters_sha256 == alone
        assert len(holder.sql("SELECT * FROM rounds")) == 15
        assert holder.lab.store.state.guests() == {}


@pytest.mark.parametrize("place", PLACES)
def test_a_guest_that_stood_still_is_refused_and_the_next_one_goes_on(
    place, address, state_url, guest, told, alone
):
    stopped = guest(address, "first", failpoint="before-snapshot:3")
    stopped.stopped()
    state = flnb.open(address, state_url).store.state
    await_(lambda: not state.guests(), "its lease does not run out")
    guest(address, "second")
    assert told("second")["parameters"] == alone
    go_on(stopped)
    refused = told("first")
    assert refused["error"] == "LabLostError"
    assert f"has no guest {NAME} any more" in refused["said"]
    lab = flnb.open(address, state_url)
    assert lab.run(NAME).parameters_sha256 == alone
    assert lab.verify().problems == ()


@pytest.mark.parametrize("place", ["folder", "s3"])
def test_a_takeover_ends_guests_also_one_in_the_middle_of_a_commit(
    place, address, state_url, guest, told, alone
):
    stopped = guest(address, "first", failpoint="writer-before-commit:3")
    stopped.stopped()
    gone = LabStore.open(address, state_url)
    gone.lease().release(in_order=False)  # as one that died
    with flnb.Coordinator(flnb.open(address, state_url)) as holder:
        assert holder.lab.store.state.guests() == {}
        assert holder.lab.store.state.run(NAME).status is Status.INTERRUPTED
        go_on(stopped)
        assert told("first")["error"] in {"LabLostError", "CommitConflictError"}
        guest(address, "second")
        assert told("second")["parameters"] == alone
        assert holder.lab.verify().problems == ()


@pytest.mark.parametrize("place", ["folder"])
def test_a_holder_that_comes_and_goes_in_order_leaves_guests_alone(place, address, state_url):
    store, other = LabStore.open(address, state_url), LabStore.open(address, state_url)
    with store.be_guest("alpha-1"):
        for _ in range(2):
            other.lease().release()
        store.state.create_run(run := sample_run())
        store.close_round(sample_closing(1))
        assert store.state.run(run.id).guest == "alpha-1"
        with pytest.raises(LabHeldError, match="as guest alpha-1, is held by guest alpha-1"):
            other.be_guest("alpha-1")
        with other.lease():
            with pytest.raises(RoundStateError, match="in the hands of guest alpha-1"):
                other.state.claim_run(run.id)
            with pytest.raises(RoundStateError, match="now there is guest alpha-1"):
                other.without_guests().__enter__()
    with other.lease(), other.without_guests(), pytest.raises(RoundStateError, match="let go"):
        store.be_guest("alpha-1")
    with store.be_guest("alpha-1"):
        assert list(other.state.guests()) == ["alpha-1"]


@pytest.mark.parametrize("place", ["folder"])
def test_where_nobody_holds_the_lab_only_its_guest_writes_the_rows_of_a_run(
    place, address, state_url, guest
):
    guest(address, "one", failpoint="assigned:2", lease_s=60).stopped()
    store = LabStore.open(address, state_url)
    run = store.state.run(NAME)
    with pytest.raises(LabHeldError, match=f"run '{NAME}', is held by guest {NAME} .process"):
        store.state.set_status(run.id, Status.STOPPED)
    with store.lease():
        store.state.protect(run.id, Request(id="1", actor="ada", reason=""))  # of whoever holds it
    assert store.state.run(NAME).status is Status.RUNNING


@pytest.mark.parametrize("place", PLACES)
def test_a_guest_that_takes_a_run_of_a_later_epoch_commits_with_that(place, address, state_url):
    store, other = LabStore.open(address, state_url), LabStore.open(address, state_url)
    other.lease().release()
    with store.be_guest("alpha-1"):
        with other.lease():
            other.state.create_run(run := replace(sample_run(), status=Status.PAUSED))
            other.writer.submit(run.id, sample_groups(1), {"round": 1}).wait()
        with pytest.raises(CommitConflictError):
            store.writer.submit(run.id, sample_groups(2), {"round": 2}).wait()
        store.claim_run(run.id)
        commit = store.writer.submit(run.id, sample_groups(2), {"round": 2}).wait()
        assert store.history.meta(commit)["epoch"] == 2
    store.close()
    other.close()


@pytest.mark.parametrize("place", ["folder"])
def test_whoever_acts_on_a_lease_that_ran_out_ends_the_guest(
    place, address, state_url, monkeypatch
):
    store, other = LabStore.open(address, state_url), LabStore.open(address, state_url)
    heard = []
    monkeypatch.setattr(shared_lease.SharedStay, "_again", lambda self: None)  # it stands still
    with store.be_guest("alpha-1", on_lost=heard.append), other.lease():
        store.state.create_run(run := sample_run())
        await_(lambda: not other.state.guests(), "the lease does not run out")
        store.state.set_status(run.id, Status.WAITING)  # nobody has noticed
        assert other.state.abandoned() == 1
        assert other.state.run(run.id).status is Status.INTERRUPTED
        with pytest.raises(LabLostError, match="stood still for too long"):
            store.state.set_status(run.id, Status.RUNNING)
    assert [type(error) for error in heard] == [LabLostError]


@pytest.mark.parametrize("place", ["folder"])
def test_a_guest_that_is_none_any_more_finds_out_before_it_commits(
    place, address, state_url, monkeypatch
):
    store, other = LabStore.open(address, state_url), LabStore.open(address, state_url)
    monkeypatch.setattr(shared_lease.SharedStay, "_again", lambda self: None)
    with store.be_guest("alpha-1"), other.lease():
        store.check_held()
        store.state.create_run(sample_run())
        await_(lambda: not other.state.guests(), "the lease does not run out")
        assert other.state.abandoned() == 1
        with pytest.raises(LabLostError, match="has no guest alpha-1 any more"):
            store.check_held()


@pytest.mark.parametrize("place", ["folder"])
def test_a_sweep_that_stood_still_ends_when_a_guest_has_come(
    place, address, state_url, monkeypatch
):
    store, other = LabStore.open(address, state_url), LabStore.open(address, state_url)
    monkeypatch.setattr(shared_lease, "LEASE_S", 0.2)
    monkeypatch.setattr(shared_lease.SharedStay, "_again", lambda self: None)
    monkeypatch.setattr(shared_lease.SharedLease, "_again", lambda self: None)
    with store.lease(), store.without_guests() as check:
        check()
        await_(lambda: came(other), "the lease of the sweep does not run out")
        with pytest.raises(LabLostError):
            check()


@pytest.mark.parametrize("place", ["folder"])
def test_who_lost_the_lab_may_come_as_a_guest_and_writes_as_everybody_afterwards(
    place, address, state_url, monkeypatch
):
    store, other = LabStore.open(address, state_url), LabStore.open(address, state_url)
    monkeypatch.setattr(shared_lease.SharedLease, "_again", lambda self: None)
    lost = store.lease()
    await_(lambda: store.state.leased_to() is None, "the lease does not run out")
    other.lease().release()
    lost.release()
    store.be_guest("alpha-1").release()
    store.state.create_run(sample_run())
    assert store.state.run(sample_run().id).guest is None
