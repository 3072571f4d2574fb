"""Two tasks whose models lie alike share their remote clients, and not their updates."""

import asyncio
from types import SimpleNamespace

import numpy as np
import pytest

import flnb
from flnb.coordinator.population import Population, Simulation
from flnb.core.errors import AccessRefusedError
from tests.abuse.served import honest
from tests.abuse.test_two_updates import door, hear, offer, start_of
from tests.coordinator.remote.test_participants import crowd
from tests.e2e.remote_client import plan


def digits(seed):
    return flnb.tasks.digits(model="softmax", split=flnb.IID(clients=2, seed=seed))


def test_runs_of_two_tasks_of_one_layout_take_turns_and_keep_their_updates(tmp_path):
    one, other = digits(0), digits(1)
    assert one.layout.hash == other.layout.hash
    with flnb.Coordinator(tmp_path / "lab") as coordinator:
        coordinator.listen()
        runs = [coordinator.run(plan(rounds=1, invite=1), task) for task in (one, other)]
        values = dict(zip((run.id for run in runs), (1.0, 2.0), strict=True))

        async def learn():
            async with honest(door(coordinator), "a", layout=one.layout.hash) as client:
                for _ in runs:
                    assignment = await hear(client, "assignment")
                    await offer(client, assignment, values[assignment.id.run])
                await asyncio.gather(*(asyncio.to_thread(run.wait, 20) for run in runs))

        asyncio.run(learn())
        moved = [run.model().values - start_of(one) for run in runs]
    assert np.allclose(moved[0], 1.0, atol=1e-6)
    assert np.allclose(moved[1], 2.0, atol=1e-6)


def test_populations_that_share_remote_clients_have_one_turn(tmp_path):
    async def scene():
        async with crowd(tmp_path) as people:
            one, other = (Population(digits(seed), Simulation(workers=0)) for seed in (0, 1))
            waiting, turn = asyncio.create_task(other.take_turn()), await one.take_turn()
            (await waiting).release()
            welcomed = asyncio.create_task(one.welcome(people.remote))
            await other.welcome(people.remote)
            assert not welcomed.done(), "a round of its own is open"
            late = asyncio.create_task(one.take_turn())
            await asyncio.sleep(0)
            turn.release()
            await welcomed
            turn, second = await late, asyncio.create_task(other.take_turn())
            await asyncio.sleep(0)
            assert not second.done()
            turn.release()
            (await second).release()
            one.close(), other.close()

    asyncio.run(scene())


def test_a_client_with_the_name_of_a_simulated_one_is_turned_away_in_words(tmp_path):
    learning = digits(0)
    with flnb.Coordinator(tmp_path / "lab") as coordinator:
        coordinator.listen()
        invited = door(coordinator).invite("c000")  # before anybody could know
        coordinator.simulate(learning, workers=0)

        async def come():
            where = SimpleNamespace(invite=lambda _name: invited)
            async with honest(where, "c000", layout=learning.layout.hash) as client:
                await hear(client, "assignment")

        with pytest.raises(AccessRefusedError, match="'c000' is the name of a simulated client"):
            asyncio.run(come())


def test_whoever_was_here_before_its_name_was_simulated_is_not_invited(tmp_path, caplog):
    async def scene():
        async with crowd(tmp_path) as people:
            people.remote.arrive("c001", 7)
            population = Population(digits(0), Simulation(workers=0))
            await population.welcome(people.remote)
            sizes = dict(digits(0).clients)
            assert dict(population.clients) == {**sizes, "a": 5}
            assert "simulated ones have their names: c001" in caplog.text
            population.close()

    asyncio.run(scene())


def test_a_population_that_was_closed_hears_of_no_client_and_takes_no_name(tmp_path):
    async def scene():
        async with crowd(tmp_path) as people:
            population = Population(digits(0), Simulation(workers=0))
            await population.welcome(people.remote)
            population.close()
            people.remote.arrive("c001", 7)
            assert not population.changed.is_set()
            assert not people.remote.presence.on_change

    asyncio.run(scene())
