"""Transfers take turns, so that other calls are heard between their messages."""

import asyncio

from flnb.transport.turns import Turns


async def transfer(turns, messages, done):
    for _ in range(messages):
        await turns.next()
        done.append("message")


async def call(steps, done):
    for _ in range(steps):
        await asyncio.sleep(0)
    done.append("call")


def test_a_call_of_several_steps_does_not_wait_for_all_that_is_ready():
    async def scene():
        turns, done = Turns(at_once=2), []
        async with asyncio.TaskGroup() as group:
            for _ in range(50):
                group.create_task(transfer(turns, 4, done))
            group.create_task(call(5, done))
        assert len(done) == 201
        return done.index("call")

    assert asyncio.run(scene()) <= 2 * 7


def test_turns_are_given_in_order_and_none_is_lost_with_a_transfer_that_ends():
    async def scene():
        turns, done = Turns(at_once=1), []

        async def one(number):
            await turns.next()
            done.append(number)

        tasks = [asyncio.create_task(one(number)) for number in range(5)]
        await asyncio.sleep(0)
        tasks[2].cancel()
        await asyncio.wait(tasks, timeout=5)
        return done

    assert asyncio.run(scene()) == [0, 1, 3, 4]


def test_the_loop_sleeps_while_nothing_is_transferred():
    async def scene():
        turns, loop = Turns(at_once=1), asyncio.get_running_loop()
        await turns.next()
        await asyncio.sleep(0.01)
        rounds, began = 0, loop._run_once

        def counted():
            nonlocal rounds
            rounds += 1
            began()

        loop._run_once = counted
        await asyncio.sleep(0.05)
        return rounds

    assert asyncio.run(scene()) <= 3
