"""Who holds a shared lab: by the database's clock, by epoch, and only in the transaction that asks."""

import os
import threading
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

import pytest

from flnb.core import Status
from flnb.core.clock import SystemClock
from flnb.core.errors import LabHeldError, LabLostError, StorageUnreachableError
from flnb.store import LabStore, SharedLease, StateStore, shared_lease
from flnb.store.lease import Holder
from flnb.testing.stores import sample_closing, sample_run
from tests.e2e.victims import await_

ADDRESS = "s3://models/lab"
HERE = Holder.here("coordinator")


@pytest.fixture
def open_state(state_url, request):
    """Open the state of one lab, as a machine more with each call."""

    def open_(clock=None):
        state = StateStore(state_url, address=ADDRESS, **({"clock": clock} if clock else {}))
        request.addfinalizer(state.close)
        return state

    return open_


def ended(postgres, state_url):
    """Let the lease end, as the database sees it."""
    postgres.do("UPDATE epochs SET until = 0", state_url)


def test_a_second_machine_is_told_who_holds_the_lab_since_when_and_for_how_long(open_state):
    with SharedLease(open_state(), "coordinator"), pytest.raises(LabHeldError) as refused:
        SharedLease(open_state(), "other")
    assert refused.value.holder == str(HERE)
    assert refused.value.since.endswith("UTC")
    assert "free in 15 s" in refused.value.hint
    assert refused.value.lab == ADDRESS


def test_who_lets_go_in_order_is_followed_at_once_and_both_are_on_record(open_state):
    with SharedLease(open_state(), "first") as first:
        assert open_state().leased_to() == first.holder
    with SharedLease(open_state(), "second") as second:
        assert (second.epoch, second.follows_in_order) == (2, True)
    epochs = open_state().epochs()
    assert [(one.epoch, one.holder.who) for one in epochs] == [(1, "first"), (2, "second")]
    assert epochs[0].ended_at <= epochs[1].holder.since
    assert open_state().leased_to() is None


def test_a_lease_that_ran_out_is_renewed_if_nobody_wanted_it(open_state, postgres, state_url):
    state = open_state()
    state.begin_epoch(HERE, 15.0)
    ended(postgres, state_url)
    assert state.leased_to() is None
    state.renew_epoch(1, 15.0)
    assert open_state().leased_to().pid == os.getpid()


def test_a_lease_is_renewed_for_as_long_as_it_is_held(open_state, monkeypatch):
    monkeypatch.setattr(shared_lease, "LEASE_S", 0.3)
    watcher = open_state()
    with SharedLease(open_state(), "coordinator"):
        first = watcher.epochs()[0].until
        await_(lambda: watcher.epochs()[0].until > first + timedelta(seconds=0.6), "not renewed")
    assert not [thread for thread in threading.enumerate() if thread.name == "flnb-lease"]


def test_whoever_was_taken_over_writes_nothing_and_hears_of_it_once(
    open_state, postgres, state_url
):
    first, heard = open_state(), []
    first.create_run(sample_run())
    first.begin_epoch(HERE, 15.0, heard.append)
    first.close_round(sample_closing(1))
    ended(postgres, state_url)
    _, in_order = open_state().begin_epoch(Holder("other", 7, "box-b", HERE.since), 15.0)
    for write in (
        lambda: first.close_round(sample_closing(2)),
        lambda: first.set_status("run001", Status.PAUSED),
        lambda: first.renew_epoch(1, 15.0),
        lambda: first.end_epoch(1, in_order=True),
    ):
        with pytest.raises(LabLostError, match=r"other \(process 7 on box-b\) has epoch 2"):
            write()
    assert (first.head("run001").round, in_order, len(heard)) == (1, False, 1)
    assert first.epochs()[0].ended_at is None


def test_only_the_clock_of_the_database_counts(open_state):
    class Ahead(SystemClock):
        def now(self):
            return datetime.now(UTC) + timedelta(seconds=100)

    class Behind(SystemClock):
        def now(self):
            return datetime.now(UTC) - timedelta(seconds=100)

    with SharedLease(open_state(Behind()), "behind") as held:
        assert abs(datetime.now(UTC) - held.holder.since) < timedelta(seconds=30)
        with pytest.raises(LabHeldError):
            SharedLease(open_state(Ahead()), "ahead")


def test_whoever_stands_still_within_a_transaction_does_not_lock_others_out(
    open_state, monkeypatch
):
    quick = ("SET idle_in_transaction_session_timeout = '200ms'",)
    monkeypatch.setattr("flnb.store.postgres._SESSION", quick)
    first, second = open_state(), open_state()
    first.create_run(sample_run())
    first.begin_epoch(HERE, 0.0)
    stood_still = first._database.writing()
    stood_still.__enter__().exec_driver_sql("UPDATE runs SET status = 'failed'")
    second.begin_epoch(HERE, 15.0)
    with pytest.raises(StorageUnreachableError):
        stood_still.__exit__(None, None, None)
    assert second.run("run001").status is Status.RUNNING


def test_a_holder_that_did_not_let_go_in_order_is_kept_out_by_whoever_follows(
    tmp_path, state_url, fork_server, monkeypatch
):
    store = LabStore.open(tmp_path / "lab", state_url, fork_server=fork_server)
    with store.lease():
        store.state.create_run(sample_run())
        assert store.close_round(sample_closing(1)).position == 1
    monkeypatch.setattr(StateStore, "runs", lambda _: pytest.fail("nobody was to be kept out"))
    with store.lease() as lease:
        assert lease.epoch == 2
    monkeypatch.setattr(StateStore, "runs", lambda _: [][0])
    store.lease().release(in_order=False)
    with pytest.raises(IndexError):
        store.lease()
    assert store.state.epochs()[-1].ended_at is None
    assert store.holder is None
    store.close()


def test_whoever_lost_the_lab_stays_fenced_off_after_it_let_go_but_may_ask(
    open_state, postgres, state_url
):
    first, heard = open_state(), []
    first.create_run(sample_run())
    lease = SharedLease(first, "first", on_lost=heard.append)
    ended(postgres, state_url)
    with SharedLease(open_state(), "second"):
        lease.release()  # a thread of before may still be at work
        with pytest.raises(LabLostError, match="has epoch 2"):
            first.set_status("run001", Status.PAUSED)
        with pytest.raises(LabLostError):
            first.check_epoch()
        assert first.enqueue_command("run001", "pause").verb == "pause"
    assert SharedLease(first, "again").release() is None
    first.set_status("run001", Status.PAUSED)
    assert (len(heard), first.run("run001").status) == (1, Status.PAUSED)


def test_whoever_could_not_say_that_it_lets_go_stays_fenced_off(open_state, postgres, state_url):
    first = open_state()
    first.create_run(sample_run())
    lease = SharedLease(first, "first")
    postgres.stop()
    try:
        lease.release()
    finally:
        postgres.start()
    ended(postgres, state_url)
    open_state().begin_epoch(HERE, 15.0)
    with pytest.raises(LabLostError):
        first.set_status("run001", Status.PAUSED)


def test_a_lease_is_renewed_while_all_connections_are_busy(open_state, monkeypatch):
    monkeypatch.setattr("flnb.store.postgres._POOL_S", 0.1)
    state, watcher = open_state(), open_state()
    state.begin_epoch(HERE, 15.0)
    before = watcher.epochs()[0].until
    with ExitStack() as busy:
        for _ in range(5 + 10):  # which SQLAlchemy keeps, and makes beyond that
            busy.enter_context(state._database.reading())
        with pytest.raises(StorageUnreachableError, match="all connections"):
            state.epochs()
        state.renew_epoch(1, 60.0)
    assert watcher.epochs()[0].until > before


def test_whatever_happens_to_a_renewal_it_is_tried_again_and_said(open_state, monkeypatch, caplog):
    monkeypatch.setattr(shared_lease, "LEASE_S", 0.1)
    monkeypatch.setattr(shared_lease, "_RETRY_S", 0.01)
    renewals = iter([RuntimeError("out of order"), RuntimeError("still"), None])
    done = threading.Event()

    def renew(*_):
        if (error := next(renewals, None)) is not None:
            raise error
        done.set()

    monkeypatch.setattr(StateStore, "renew_epoch", renew)
    with SharedLease(open_state(), "coordinator"):
        assert done.wait(10)
    said = [one.getMessage() for one in caplog.records if one.name == shared_lease.__name__]
    assert said == ["the lease of the lab is not renewed: out of order"]
