"""Guests of a lab in a folder: who is one, what they may write, and what others may do meanwhile."""

from dataclasses import replace
from pathlib import Path

import pytest

from flnb.core import Status
from flnb.core.errors import LabHeldError, RoundStateError
from flnb.store import LabStore, Operation, Request
from flnb.store.guests import guests, tidy
from flnb.store.lease import Lease
from flnb.testing.stores import sample_closing, sample_run

BE_GUEST = (
    "import sys, time; from flnb.store import LabStore; store = LabStore.open(sys.argv[1]);"
    "store.be_guest('alpha-1'); print('in', flush=True); time.sleep(600)"
)
ASKED = Request(id="r1", actor="ada", reason="why")


@pytest.fixture
def lab(tmp_path):
    """Opens the lab as another process would, with a store of its own."""
    opened = []

    def open_lab():
        opened.append(LabStore.open(tmp_path / "lab"))
        return opened[-1]

    open_lab()
    yield open_lab
    for store in opened:
        store.close()


@pytest.fixture
def process(lab, tmp_path, interpreters):
    """A guest in a process of its own."""
    with interpreters.start(BE_GUEST, tmp_path / "lab") as other:
        assert other.stdout.readline() == "in\n"
        yield other
        other.kill()


def run_of(store, name="first", **facts):
    record = replace(sample_run(name), id=f"id-{name}", **facts)
    store.state.create_run(record)
    return store.state.run(record.id)


def noted(store, run, *done):
    for verb in done:
        store.state.append_operation(Operation(run.created_at, "ada", verb, run.id))


def verbs(store):
    return sorted(row["verb"] for row in store.metrics.query("SELECT verb FROM operations"))


def test_a_guest_is_known_by_name_until_it_leaves(lab, tmp_path):
    lease = lab().be_guest("alpha-1")
    assert str(guests(tmp_path / "lab")["alpha-1"]).startswith("guest alpha-1 (process ")
    with pytest.raises(LabHeldError, match="as guest alpha-1, is held by guest alpha-1") as held:
        lab().be_guest("alpha-1")
    assert "UTC" in str(held.value)
    lease.release()
    lease.release()
    assert guests(tmp_path / "lab") == {}
    lab().be_guest("alpha-1").release()
    assert list((tmp_path / "lab" / "guests").iterdir()) == []


def test_a_guest_that_was_killed_is_gone_and_leaves_nothing(lab, process, tmp_path):
    assert list(lab().state.guests()) == ["alpha-1"]
    process.kill()
    process.wait()
    assert lab().state.guests() == {}
    tidy(tmp_path / "lab")
    assert list((tmp_path / "lab" / "guests").iterdir()) == []


def test_whoever_tidies_is_not_taken_for_a_guest(lab, process, tmp_path, monkeypatch):
    process.kill()
    process.wait()
    seen, unlink = [], Path.unlink

    def look(file, **options):
        seen.append((file.name, guests(tmp_path / "lab")))
        unlink(file, **options)

    monkeypatch.setattr(Path, "unlink", look)
    tidy(tmp_path / "lab")
    assert seen == [("alpha-1.lock", {})]
    with Lease(tmp_path / "lab" / "guests" / "alpha-1.lock", "tidy"):
        assert guests(tmp_path / "lab") == {}


def test_a_guest_writes_its_runs_beside_the_holder_and_nothing_of_the_lab(lab):
    holder, store = lab(), lab()
    theirs = run_of(holder, "theirs")
    with holder.lease(), store.be_guest("alpha-1"):
        mine = run_of(store, "mine")
        assert mine.guest == "alpha-1"
        store.close_round(sample_closing(1, run=mine.id))
        for refused in (
            lambda: store.state.expire([], ASKED),
            lambda: store.state.revoke_tokens("ada"),
            lambda: store.state.append_operation(Operation(mine.created_at, "ada", "token")),
        ):
            with pytest.raises(RoundStateError, match=r"guest alpha-1 of lab .* its own runs"):
                refused()
        with pytest.raises(RoundStateError, match="run 'theirs' is none of guest alpha-1"):
            store.state.set_status(theirs.id, Status.STOPPED)
    assert holder.state.run("theirs").status is Status.RUNNING


def test_who_was_a_guest_writes_as_everybody_again(lab):
    store = lab()
    store.be_guest("alpha-1").release()
    assert run_of(store, "later").guest is None
    with lab().lease():
        store.state.set_status(store.state.run("later").id, Status.PAUSED)  # the same process


def test_only_whoever_has_a_run_drives_it(lab, process):
    store = lab()
    run = run_of(store)
    store.state.be_guest("alpha-1")  # as that process would
    store.state.claim_run(run.id)
    store.state.be_guest("")
    with store.lease():
        with pytest.raises(
            RoundStateError, match=r"in the hands of guest alpha-1 .process"
        ) as held:
            store.state.claim_run(run.id)
        assert " since 20" in str(held.value)
        with pytest.raises(RoundStateError, match="in the hands of guest alpha-1"):
            store.state.move_head(run.id, (1, 0), None, ASKED)
        with pytest.raises(RoundStateError, match="in the hands of guest alpha-1"):
            store.state.stop_resting(run.id)
        process.kill()
        process.wait()
        store.state.claim_run(run.id)
    assert store.state.run(run.id).guest is None


def test_where_nobody_holds_the_lab_only_its_guest_writes_the_rows_of_a_run(lab, process):
    store = lab()
    store.state.be_guest("alpha-1")  # as that process would
    run = run_of(store)
    store.state.be_guest("")
    for refused in (
        lambda: store.state.set_status(run.id, Status.STOPPED),
        lambda: store.close_round(sample_closing(1, run=run.id)),
        lambda: store.state.protect(run.id, ASKED),
        lambda: store.state.check_free(run.id),
    ):
        with pytest.raises(LabHeldError, match=r"run 'first', is held by guest alpha-1 .process"):
            refused()
    with store.lease():
        store.state.protect(run.id, ASKED)  # of whoever holds it
    process.kill()
    process.wait()
    store.state.set_status(run.id, Status.STOPPED)


def test_a_claim_that_came_to_nothing_is_undone(lab):
    store = lab()
    store.state.be_guest("alpha-1")
    run = run_of(store)
    store.state.be_guest("")
    assert store.claim_run(run.id) == "alpha-1"
    assert store.state.run(run.id).guest is None
    store.state.give_back(run.id, "alpha-1")
    assert store.state.run(run.id).guest == "alpha-1"
    store.state.give_back(run.id, "alpha-2")  # it is not this process' any more
    assert store.state.run(run.id).guest == "alpha-1"


def test_who_takes_the_lab_interrupts_what_was_driven_by_nobody_who_is_there(lab, process):
    store = lab()
    for name, guest in {"held": "", "there": "alpha-1", "gone": "alpha-2"}.items():
        store.state.be_guest(guest)
        run_of(store, name)
    store.state.be_guest("")
    assert store.driver(store.state.run("gone")) is None
    assert store.driver(store.state.run("there")).pid == process.pid
    store.state.interrupted()
    statuses = {record.name: record.status for record in store.state.runs()}
    assert statuses == {
        "held": Status.INTERRUPTED,
        "there": Status.RUNNING,
        "gone": Status.INTERRUPTED,
    }
    assert store.state.abandoned() == 0


def test_a_guest_that_begins_interrupts_what_had_its_name_and_nothing_of_the_holder(lab):
    store = lab()
    run_of(store, "held")
    store.be_guest("alpha-1").release()
    with store.be_guest("alpha-1"):
        run_of(store, "before")
        store.state.interrupted()
        assert store.state.run("before").status is Status.INTERRUPTED
        assert store.state.run("held").status is Status.RUNNING


def test_commands_come_to_whoever_has_the_run_and_to_the_holder_what_is_of_the_lab(lab, process):
    store = lab()
    store.state.be_guest("alpha-1")
    theirs = run_of(store, "theirs")
    store.state.be_guest("")
    mine = run_of(store, "mine")
    for run in (mine, theirs):
        for verb in ("pause", "expire"):
            store.state.enqueue_command(run.id, verb)
    here = [(one.run, one.verb) for one in store.state.pending_commands()]
    assert here == [(mine.id, "pause"), (mine.id, "expire"), (theirs.id, "expire")]
    assert store.state.drop_commands("begun anew") == 3
    store.state.be_guest("alpha-1")
    assert [(one.run, one.verb) for one in store.state.pending_commands()] == [(theirs.id, "pause")]


def test_a_guest_has_tables_of_its_runs_and_the_holder_takes_them_up(lab, tmp_path):
    holder, store = lab(), lab()
    with holder.lease(), store.be_guest("alpha-1"):
        theirs, mine = run_of(holder, "theirs"), run_of(store, "mine")
        holder.close_round(sample_closing(1, run=theirs.id))
        holder.take_up()
        for number in (1, 2):
            store.close_round(sample_closing(number, run=mine.id))
        store.catch_up()
        rounds = "SELECT run, count(*) AS n FROM rounds GROUP BY run ORDER BY run"
        assert list(store.metrics.query(rounds)) == [{"run": "mine", "n": 2}]
        assert [row["run"] for row in store.metrics.query("SELECT run FROM runs")] == ["mine"]
        assert holder.take_up() == 2
        both = [{"run": "mine", "n": 2}, {"run": "theirs", "n": 1}]
        assert list(holder.metrics.query(rounds)) == both
        assert holder.take_up() == 0


def test_what_others_do_in_the_lab_is_not_read_again_by_a_guest(lab, monkeypatch):
    holder, store = lab(), lab()
    theirs = run_of(holder, "theirs")
    with store.be_guest("alpha-1"):
        noted(store, run_of(store, "mine"), "mine")
        noted(holder, theirs, "more", "more")
        asked, ask = [], store.state.operations_after
        monkeypatch.setattr(
            store.state, "operations_after", lambda *which: asked.append(which) or ask(*which)
        )
        for _ in range(2):
            assert verbs(store) == ["mine"]
        assert asked == [(0, {"id-mine"}), (3, {"id-mine"})]


def test_what_was_done_to_a_run_before_a_guest_took_it_is_told_once(lab):
    holder, store = lab(), lab()
    theirs = run_of(holder, "theirs", status=Status.PAUSED)
    with store.be_guest("alpha-1"):
        noted(holder, theirs, "begun")
        noted(store, run_of(store, "mine"), "mine")
        assert verbs(store) == ["mine"]
        store.claim_run(theirs.id)
        noted(store, theirs, "went on")
        for _ in range(2):
            assert verbs(store) == ["begun", "mine", "went on"]


def test_a_branch_is_of_who_makes_it_and_of_the_study_only_in_its_cell(lab):
    store = lab()
    with store.be_guest("alpha-1"):
        run = run_of(store, "mine", study="alpha", study_key="1234abcd")
    assert (run.study, run.study_key) == ("alpha", "1234abcd")
    branch = replace(sample_run("mine/b"), id="b", branch="b", study="alpha", study_key="1234abcd")
    store.state.fork(branch, None, ASKED)
    made = store.state.run("b")
    assert (made.guest, made.study, made.study_key) == (None, None, None)


def test_nothing_is_swept_while_a_guest_is_there_and_no_guest_begins_meanwhile(
    lab, process, monkeypatch
):
    monkeypatch.setattr("flnb.store.guests._SWEEP_TRIES", 1)
    store = lab()
    with (
        pytest.raises(RoundStateError, match=r"now there is guest alpha-1 .process"),
        store.without_guests(),
    ):
        pytest.fail("a guest is there")
    process.kill()
    process.wait()
    with store.without_guests(), pytest.raises(RoundStateError, match="are being let go"):
        lab().be_guest("alpha-2")
