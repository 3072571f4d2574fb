"""One process commits while another one collects what nobody names any more: nothing is lost."""

from datetime import UTC, datetime, timedelta

import pytest

import flnb
from flnb import tasks
from flnb.coordinator.history import expiring
from flnb.coordinator.history.verifying import verify
from flnb.coordinator.lab import Lab
from flnb.store import History, LabStore
from flnb.testing.stores import same_bits
from tests.s3.collecting import version
from tests.s3.servers import wait_for


@pytest.fixture
def forked(fork_server):
    """A process at one of the functions of `collecting.py`."""
    found = []

    def fork(name, *said):
        found.append(fork_server.fork(f"tests.s3.collecting:{name}"))
        found[-1].channel.send(said)
        return found[-1].channel

    yield fork
    for process in found:
        process.close()


def collected_beside_commits(place, server, forked, times):
    """Let so many commits go, one in each sweep, while others are written that share their chunks."""
    History(place).check()
    committer = forked("commit", place, server.environment(), times)
    kept, freed = list(committer.recv(300).values()), 0
    # S3 knows to the second when an object came.
    moment = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=1)
    wait_for(lambda: datetime.now(UTC) >= moment, "the second is over")
    committer.send({})
    collector = forked("collect", place, server.environment(), moment)
    while kept:
        kept = kept[1:]
        collector.send(kept)
        freed += collector.recv(300)
    committer.send("stop")
    new, history = committer.recv(60), History(place)
    assert freed > times
    assert len(new) > times
    for number, snapshot in new.items():
        assert same_bits(history.read(snapshot), version(number))


def test_commits_share_chunks_with_those_that_another_process_lets_go(place, server, forked):
    collected_beside_commits(place, server, forked, times=3)


@pytest.mark.long
def test_hundreds_of_commits_share_chunks_with_those_that_go(place, server, forked):
    collected_beside_commits(place, server, forked, times=30)


@pytest.mark.long
def test_rounds_are_let_go_by_another_process_while_the_run_commits(
    tmp_path, place, server, forked, monkeypatch
):
    monkeypatch.setattr(expiring, "YOUNGEST", timedelta(0))  # only its turn keeps a commit then
    task = tasks.digits(model="softmax", split=flnb.IID(clients=4, seed=0))
    plan = flnb.Plan(rounds=300, invite=2, seed=1, commit_every=1)
    folder = tmp_path / "lab"
    store = LabStore(folder, LabStore.open(folder).state, place=place)
    with flnb.Coordinator(Lab(store)) as coordinator:
        coordinator.simulate(task, workers=0)
        run = coordinator.run(plan, task, name="otter")
        other = forked("let_go", folder, place, server.environment())
        run.wait(600)
        other.send("stop")
        freed, times = other.recv(60)
    verdict = verify(store)
    assert not verdict.problems
    assert freed > times > 1
    assert 30 <= verdict.commits < 300
