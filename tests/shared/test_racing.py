"""Eight processes want to move one head: exactly one of them does, each time, on both databases."""

from dataclasses import replace

import pytest

from flnb.store import RoundKey, StateStore
from flnb.testing.stores import sample_closing, sample_run

RACERS = 8


@pytest.fixture(params=["sqlite", "postgresql"])
def where(request, tmp_path):
    if request.param == "sqlite":
        return tmp_path / "state.db"
    return request.getfixturevalue("state_url")


@pytest.fixture
def race(where, fork_server):
    """Let all move the head from where it is; returns who did."""
    state = StateStore(where, address="s3://models/lab")
    state.create_run(sample_run())
    workers = [fork_server.fork("tests.shared.racing:serve") for _ in range(RACERS)]
    for worker in workers:
        worker.channel.send((where, "s3://models/lab"))
    assert [worker.channel.recv() for worker in workers] == ["ready"] * RACERS

    def run(number):
        generation = state.run("run001").generation
        closing = replace(sample_closing(1, snapshot="s1"), generation=generation)
        state.close_round(closing)
        for index, worker in enumerate(workers):
            worker.channel.send(((generation, 1), f"racer-{index}-{number}"))
        won = [worker.channel.recv() for worker in workers]
        assert state.names("run001")[f"before-rollback-{generation}"].key == RoundKey(
            "run001", generation, 1
        )
        return won

    yield run
    for worker in workers:
        worker.close()
    state.close()


def winners(race, races):
    return {race(number).count(True) for number in range(races)}


def test_exactly_one_of_eight_moves_the_head(race):
    assert winners(race, 5) == {1}


@pytest.mark.long
def test_exactly_one_of_eight_moves_the_head_each_of_200_times(race):
    assert winners(race, 200) == {1}
