"""A second machine reads a shared lab, and takes it over when the first is gone, or only seems to be."""

import os
import signal
from pathlib import Path

import pytest
from sqlalchemy import select

import flnb
from flnb.coordinator.acting import request
from flnb.coordinator.history import expiring
from flnb.coordinator.history.verifying import verify
from flnb.core import Status
from flnb.core.errors import LabHeldError, LabLostError, StorageUnreachableError
from flnb.store import LabStore, StateStore, schema, shared_lease
from tests.e2e.victims import await_
from tests.shared.sharing import LEASE_S, NAME, ROUNDS, plan, task

SCRIPT = Path(__file__).parent / "sharing.py"
pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module", autouse=True)
def _quick_and_quiet():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shared_lease, "LEASE_S", LEASE_S)
        patch.setenv("FLNB_PROGRESS", "off")
        yield


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """What a run ends with that nobody disturbed, in a folder."""
    with flnb.Coordinator(tmp_path_factory.mktemp("undisturbed") / "lab") as coordinator:
        coordinator.simulate(task(), workers=0)
        return coordinator.run(plan(), task()).wait().parameters_sha256


@pytest.fixture
def begin(nursery, tmp_path, state_url):
    """Let another machine begin the run of a lab, or go on with it."""
    born = []

    def begin(name, address, jump_s=0, failpoint=""):
        credentials = (f"{key}={value}" for key, value in os.environ.items() if "AWS_" in key)
        arguments = (address, state_url, tmp_path / name, str(jump_s), *credentials)
        born.append(nursery.begin("script", SCRIPT, *arguments, failpoint=failpoint))
        return born[-1]

    yield begin
    for victim in born:
        victim.kill()


def written(lab):
    """Everything of a lab that counts: rows of the state, and where the branches are."""
    with lab.store.state._database.reading() as connection:
        rows = {
            table.name: connection.execute(select(table)).all()
            for table in (schema.closings, schema.heads, schema.runs, schema.operations)
        }
    repository = lab.store.history._open()
    tips = {name: repository.lookup_branch(name) for name in repository.list_branches()}
    return rows, tips


def test_a_second_machine_reads_while_the_first_runs_and_goes_on_when_it_was_killed(
    begin, tmp_path, state_url, expected
):
    killed = begin("first", tmp_path / "lab", failpoint="writer-before-commit:3")
    killed.stopped()  # its writer: the coordinator itself renews the lease
    lab = flnb.open(tmp_path / "lab", state_url)
    assert lab.run(NAME).view.round == 2
    assert len(lab.sql("SELECT * FROM rounds")) == 2
    with pytest.raises(LabHeldError, match=f"process {killed.pid}"):
        flnb.Coordinator(lab).start()
    killed.kill()
    await_(lambda: lab.store.holder is None, "the lease does not end")
    begin("second", tmp_path / "lab").wait()
    assert (tmp_path / "second.txt").read_text() == expected
    assert verify(lab.store).problems == ()
    assert [one.ended_at is not None for one in lab.store.state.epochs()] == [False, True]


LONG = [
    pytest.param("s3", f"{place}:3", jump_s, marks=pytest.mark.long)
    for place in (
        "assigned",
        "answered",
        "before-snapshot",
        "writer-before-commit",
        "chunks-written",
    )
    for jump_s in (0, -100)
] + [
    pytest.param("s3", f"{place}:3", 100, marks=pytest.mark.long)
    for place in ("writer-after-commit", "after-snapshot", "in-closing", "after-closing")
]


@pytest.mark.parametrize(
    ("place", "failpoint", "jump_s"),
    [("folder", "writer-before-commit:3", 0), ("s3", "chunks-written:3", 100), *LONG],
)
def test_a_holder_that_stood_still_stops_itself_and_has_written_nothing(
    begin, address, state_url, expected, failpoint, jump_s, tmp_path
):
    stopped = begin("first", address, jump_s, failpoint)
    stopped.stopped()
    os.kill(stopped.pid, signal.SIGSTOP)
    lab = flnb.open(address, state_url)
    await_(lambda: lab.store.holder is None, "the lease does not end")
    with flnb.Coordinator(lab):
        before = written(lab)
        os.kill(stopped.pid, signal.SIGCONT)
        stopped.go_on()
        assert (tmp_path / "first.txt").read_text().startswith("LabLostError: lab ")
        assert written(lab) == before
    begin("second", address, -jump_s).wait()
    assert (tmp_path / "second.txt").read_text() == expected
    assert verify(lab.store).problems == ()


def test_a_coordinator_that_was_taken_over_stops_itself(tmp_path, state_url, postgres):
    coordinator = flnb.Coordinator(flnb.open(tmp_path / "lab", state_url)).start()
    postgres.do("UPDATE epochs SET until = 0", state_url)
    postgres.do("INSERT INTO epochs SELECT 2, 'other', 7, 'box-b', since FROM epochs", state_url)
    postgres.do("UPDATE lab SET epoch = 2", state_url)
    await_(lambda: not coordinator.running, "it goes on")
    assert coordinator.lost.holder == "other (process 7 on box-b)"
    with pytest.raises(LabLostError, match="has epoch 2"):
        coordinator.run(plan(), task())
    assert "taken over" in coordinator.standing.note
    assert len(coordinator.lab.runs()) == 0


def test_a_run_pauses_while_the_database_is_away_and_loses_nothing(
    tmp_path, state_url, postgres, expected
):
    with flnb.Coordinator(flnb.open(tmp_path / "lab", state_url)) as coordinator:
        coordinator.simulate(task(), workers=0)
        run = coordinator.run(plan(), task(), name=NAME)
        await_(lambda: run.view.round >= 1, "no round")
        postgres.stop()
        try:
            with pytest.raises(StorageUnreachableError, match=r"run\.resume"):
                run.wait()
        finally:
            postgres.start()
        assert run.resume().wait().parameters_sha256 == expected
        assert run.status is Status.FINISHED
    assert len(coordinator.lab.sql("SELECT * FROM rounds")) == ROUNDS


def test_a_coordinator_that_stood_still_while_it_started_does_not_start(
    tmp_path, state_url, postgres, monkeypatch
):
    def stand_still(place):
        if place == "lab-taken":
            postgres.do("UPDATE lab SET epoch = 2", state_url)
            postgres.do(
                "INSERT INTO epochs SELECT 2, 'other', 7, 'box-b', since FROM epochs", state_url
            )
            await_(lambda: coordinator.lost is not None, "it does not look")

    coordinator = flnb.Coordinator(flnb.open(tmp_path / "lab", state_url))
    monkeypatch.setattr("flnb.coordinator.coordinator.reach", stand_still)
    with pytest.raises(LabLostError, match="other"):
        coordinator.start()
    assert not coordinator.running


def test_nothing_is_swept_of_a_lab_that_was_lost_meanwhile(
    tmp_path, state_url, postgres, monkeypatch
):
    store = LabStore.open(tmp_path / "lab", state_url)
    swept, asked = [], request("too much")
    monkeypatch.setattr(
        StateStore, "expire", lambda *_: postgres.do("UPDATE lab SET epoch = 2", state_url)
    )

    def sweep(*_, held):
        held()
        swept.append(1)

    monkeypatch.setattr(expiring, "sweep", lambda *given: sweep(*given[:-1], held=given[-1]))
    with store.lease():
        postgres.do("INSERT INTO epochs SELECT 2, 'other', 7, 'b', since FROM epochs", state_url)
        with pytest.raises(LabLostError):
            expiring.let_go(store, "run001", [], store.clock.now(), asked)
    assert not swept
    store.close()
