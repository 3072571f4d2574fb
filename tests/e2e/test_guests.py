"""Several coordinators in one lab, each a process: a holder and guests, killed wherever it hurts.

Every run must end with the bits that it ends with alone, and nobody may notice another one's death.
"""

import os
import signal

import pytest

import flnb
from flnb.coordinator.control import orders
from flnb.coordinator.history import holding
from flnb.core.errors import LabHeldError, RoundStateError
from flnb.core.view import Status
from flnb.store import YOUNGEST, LabStore
from tests.e2e.guest_subject import plan, task, unhurried
from tests.e2e.guests import Guests
from tests.e2e.victims import await_

ROUNDS = 5
MANY = 80
"""Of more than 8 ms each."""
PLACES = ("assigned", "before-snapshot", "chunks-written", "after-snapshot", "after-closing")
"""Where a guest is killed: one of each kind."""
MORE_PLACES = (
    "lab-taken",
    "run-created",
    "answered",
    "writer-before-commit",
    "writer-after-commit",
    "in-closing",
    "in-projection",
    "rest-reached",
    "rest-noted",
    "worker-trained",
)
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(autouse=True)
def _quiet(monkeypatch):
    monkeypatch.setenv("FLNB_PROGRESS", "off")


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """What the run ends with that has a lab to itself."""
    return ends_with(tmp_path_factory.mktemp("alone"), ROUNDS)


@pytest.fixture(scope="module")
def alone_for_long(tmp_path_factory):
    """The same of a run that is told something in time: what is asked is looked for each 0.25 s."""
    return ends_with(tmp_path_factory.mktemp("long"), MANY)


@pytest.fixture
def guests(nursery, tmp_path):
    guests = Guests(nursery, tmp_path)
    yield guests
    guests.end()


@pytest.fixture
def guest(guests, tmp_path):
    """Starts a guest of the lab, as the cell of a study."""

    def begin(key, failpoint="", cell="", **options):
        cell = cell or f"alpha/{key}"
        return guests.begin(tmp_path / "lab", cell, key, failpoint=failpoint, **options)

    return begin


@pytest.fixture
def told(guests):
    return guests.told


def ends_with(folder, rounds):
    with flnb.Coordinator(folder / "lab") as coordinator:
        coordinator.simulate(task(), workers=0)
        return coordinator.run(plan(rounds), task()).wait().parameters_sha256


def key(number):
    return f"{number:016x}"[::-1]


def go_on(stopped):
    os.kill(stopped.pid, signal.SIGCONT)


def going(lab, name):
    """How far a run is in the database; 0 before there is one."""
    known = {record.name: record.id for record in lab.store.state.runs()}
    return lab.store.state.head(known[name]).round if name in known else 0


def test_a_holder_and_two_guests_train_at_once_and_each_run_has_the_bits_that_it_has_alone(
    tmp_path, guest, told, alone
):
    with flnb.Coordinator(tmp_path / "lab") as holder:
        guest(key(1))
        guest(key(2), workers=1)
        holder.simulate(task(), workers=0)
        mine = holder.run(plan(ROUNDS), task()).wait()
        ends = [told(key(1)), told(key(2))]
        assert [end["parameters"] for end in ends] == [alone, alone] == [mine.parameters_sha256] * 2
        assert [end["rounds"] for end in ends] == [list(range(1, ROUNDS + 1))] * 2
        # Without asking the lab, which would look: whoever holds it takes up what guests close.
        rows = "SELECT run, count(*) AS n FROM rounds GROUP BY run"
        await_(lambda: len(holder.lab.store.metrics.query(rows)) == 3, "rounds were not taken up")
        whose = holder.sql("SELECT run, study_key FROM runs WHERE study = 'alpha' ORDER BY run")
        assert {row["run"]: row["study_key"] for row in whose} == {
            f"alpha-{key(n)[:8]}": key(n) for n in (1, 2)
        }


@pytest.mark.parametrize(
    "places", [PLACES, pytest.param(MORE_PLACES, marks=pytest.mark.long)], ids=["few", "all"]
)
def test_a_guest_that_is_killed_goes_on_when_it_comes_again_and_disturbs_nobody(
    places, tmp_path, guest, told, alone
):
    with flnb.Coordinator(tmp_path / "lab") as holder:
        mine_to_learn = unhurried()
        holder.simulate(mine_to_learn, workers=0)
        mine = holder.run(plan(2000), mine_to_learn)
        for number, place in enumerate(places):
            once = place in {"lab-taken", "run-created", "rest-reached", "rest-noted"}
            workers = int(place.startswith("worker-"))
            failpoint = place if once else f"{place}:3"
            victim = guest(key(number), failpoint=failpoint, workers=workers)
            victim.stopped()
            victim.kill()
            guest(key(number), workers=workers)
            end = told(key(number))
            assert end.get("parameters") == alone, (place, end)
            assert end["rounds"] == list(range(1, ROUNDS + 1)), place
            assert end["run"] == f"alpha-{key(number)[:8]}"
        assert mine.status is Status.RUNNING
        assert not mine.view.error
        assert mine.view.round > 0
        mine.stop()
        runs = holder.lab.store.state.runs()
        assert len(runs) == 1 + len(places)
        rounds = holder.sql(f"SELECT * FROM rounds WHERE run != '{mine.name}'")
        assert len(rounds) == ROUNDS * len(places)


def test_of_two_guests_of_one_cell_the_second_is_told_who_has_it_and_since_when(
    tmp_path, guest, told
):
    first = guest(key(1), failpoint="assigned:2")
    first.stopped()
    lab = flnb.open(tmp_path / "lab")
    since = lab.store.state.guests()[f"alpha-{key(1)[:8]}"].since
    before = going(lab, f"alpha-{key(1)[:8]}")
    guest(key(1))
    refused = told(key(1))
    assert refused["error"] == "LabHeldError"
    assert f"guest alpha-{key(1)[:8]} (process {first.pid} on" in refused["said"]
    assert f"since {since:%Y-%m-%d %H:%M:%S} UTC" in refused["said"]
    assert going(lab, f"alpha-{key(1)[:8]}") == before


def test_a_holder_that_is_killed_and_comes_again_does_not_disturb_a_guest(
    tmp_path, guest, told, alone
):
    holder = guest("holder", cell="holder", failpoint="assigned:2")
    holder.stopped()
    stopped = guest(key(1), failpoint="assigned:3")
    stopped.stopped()
    holder.kill()
    with flnb.Coordinator(tmp_path / "lab") as again:
        stands = {record.name: record.status for record in again.lab.store.state.runs()}
        assert stands.pop(name := f"alpha-{key(1)[:8]}") is Status.RUNNING
        assert list(stands.values()) == [Status.INTERRUPTED]
        assert again.lab.run(name).status is Status.RUNNING
        go_on(stopped)
        assert told(key(1))["parameters"] == alone
    assert again.lab.run(name).status is Status.FINISHED


def test_a_guest_that_is_killed_is_seen_by_whoever_looks_and_marked_by_the_holder(tmp_path, guest):
    victim = guest(key(1), failpoint="assigned:2")
    victim.stopped()
    name = f"alpha-{key(1)[:8]}"
    with flnb.Coordinator(tmp_path / "lab") as holder:
        assert holder.lab.run(name).status is Status.RUNNING
        holder.listen()
        there = flnb.connect(holder.token("ada", role="operator").text)
        seen = there.attach(name)
        victim.kill()
        assert holder.lab.run(name).status is Status.INTERRUPTED
        row = holder.lab.store.state.run
        await_(lambda: row(name).status is Status.INTERRUPTED, "nobody marked the run")
        await_(lambda: seen.status is Status.INTERRUPTED, "the connection did not hear of it")
        assert holder.carry_on() == []
        there.close()


def test_a_guest_needs_no_holder_and_the_next_one_takes_up_its_rounds(tmp_path, guest, told, alone):
    guest(key(1))
    assert told(key(1))["parameters"] == alone
    assert not (tmp_path / "lab" / "metrics.duckdb").exists()
    with flnb.Coordinator(tmp_path / "lab") as holder:
        holder.flush()
        rounds = holder.lab.store.metrics.query("SELECT DISTINCT run FROM rounds")
        assert [row["run"] for row in rounds] == [f"alpha-{key(1)[:8]}"]


def test_commits_are_let_go_only_while_no_guest_is_at_work(tmp_path, guest, told):
    stopped = guest(key(1), failpoint="assigned:2")
    stopped.stopped()
    with flnb.Coordinator(tmp_path / "lab") as holder:
        holder.simulate(task(), workers=0)
        holder.run(plan(2), task()).wait()
        preview = holder.lab.expire(older_than=f"{YOUNGEST.days}d")
        with pytest.raises(RoundStateError, match=f"guest alpha-{key(1)[:8]} .process") as refused:
            preview.apply(reason="disk")
        assert " since 20" in str(refused.value)
        go_on(stopped)
        assert told(key(1))["status"] == "finished"
        assert preview.apply(reason="disk").objects == 0


def test_what_others_ask_of_a_run_is_asked_of_its_guest(tmp_path, guest, told):
    name = f"alpha-{key(1)[:8]}"
    with flnb.Coordinator(tmp_path / "lab") as holder:
        guest(key(1), rounds=2000)
        await_(lambda: going(holder.lab, name) >= 2, "the guest does not train")
        run = holder.lab.attach(name)
        await_(lambda: run.view.round >= 2, "the holder does not see it")
        with pytest.raises(RoundStateError, match=f"in the hands of guest {name} .process"):
            holder.resume(name)
        run.stop()
        assert told(key(1))["status"] == "stopped"
        assert run.wait(20).status is Status.STOPPED


def test_a_run_that_rests_is_rolled_back_and_resumed_by_its_guest_while_that_is_there(
    tmp_path, guest, told, alone_for_long
):
    name = f"alpha-{key(1)[:8]}"
    stopped = guest(key(1), failpoint="assigned:4", stay=1, rounds=MANY)
    stopped.stopped()
    with flnb.Coordinator(tmp_path / "lab") as holder:
        run = holder.lab.attach(name)
        run.pause()
        go_on(stopped)
        assert run.wait(60).status is Status.PAUSED
        holder.lab.run(name).rollback(to=2).apply(reason="to see who does it")
        record = holder.lab.store.state.run(name)
        assert (record.generation, record.guest, record.status) == (2, name, Status.PAUSED)
        holder.lab.resume(name)
        assert told(key(1))["parameters"] == alone_for_long
        assert holder.lab.store.state.run(name).guest == name


def test_where_nobody_holds_the_lab_rows_of_a_guests_run_are_asked_of_it(tmp_path, guest):
    name = f"alpha-{key(1)[:8]}"
    guest(key(1), rounds=2000)
    lab = flnb.open(tmp_path / "lab")
    await_(lambda: going(lab, name) >= 2, "the guest does not train")
    run = lab.attach(name)
    run.protect()
    asked = lab.store.state.command(1)
    assert (asked.verb, asked.result) == ("protect", "done")
    assert lab.store.state.run(name).protected
    with pytest.raises(LabHeldError, match=f"run '{name}', is held by guest {name} .process"):
        lab.store.state.set_status(run.id, Status.STOPPED)
    assert lab.store.state.epochs() == []  # nobody took the lab for it


@pytest.mark.timeout(100)
def test_a_connection_is_told_when_a_guest_has_begun_a_resume_and_does_not_answer(
    tmp_path, guest, monkeypatch
):
    monkeypatch.setattr(holding, "_PATIENCE_S", 2.0)
    monkeypatch.setattr(orders, "LONGER_S", 0.5)
    name = f"alpha-{key(1)[:8]}"
    resting = guest(key(1), failpoint="branch-reset", stay=1, rounds=2000)
    with flnb.Coordinator(tmp_path / "lab") as holder:
        await_(lambda: going(holder.lab, name) >= 2, "the guest does not train")
        holder.lab.attach(name).pause().wait(60)
        holder.listen()
        there = flnb.connect(holder.token("ada", role="operator").text)
        run = there.attach(name)
        with pytest.raises(RoundStateError, match=rf"in the hands of guest {name}") as told:
            run.resume()
        assert "resume has begun there and goes on" in told.value.hint
        assert str(tmp_path) not in str(told.value)
        resting.stopped()
        there.close()


def test_a_lab_is_not_held_by_its_guests(tmp_path, guest):
    guest(key(1), failpoint="assigned:2").stopped()
    store = LabStore.open(tmp_path / "lab")
    assert store.holder is None
    with store.lease("somebody"), pytest.raises(LabHeldError):
        LabStore.open(tmp_path / "lab").lease()
    store.close()
