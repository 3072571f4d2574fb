"""A client with another key: it goes on, its signed updates count, and no crash leaves it without one."""

import asyncio

import pytest

from flnb.client import rotate_key
from flnb.client.state import Home
from flnb.core.errors import (
    AccessRefusedError,
    FLBaseError,
    StoreError,
    TokenExpiredError,
    UnreachableError,
)
from flnb.transport.identity import Identity
from flnb.transport.invite import Invite
from tests.client.coordinators import (
    CLIENT,
    LAB,
    FakeClient,
    assignment,
    checked,
    play,
    running,
    until,
)


async def visit(task, coordinator, home):
    """A client comes, and is gone again: the key that it has then."""
    async with running(FakeClient(coordinator, task, home)):
        await coordinator.line()
    return Identity.load(home / "identity.pem").public


def next_key(home):
    """A change of keys that was begun, and was killed then: the key that it made."""
    held = Home(home)
    fresh = held.next_identity()
    held.release()
    return fresh.public


def test_a_client_that_runs_changes_its_key_and_signs_with_it(task, coordinator, home, training):
    async def scene():
        client = FakeClient(coordinator, task, home, train=training)
        async with running(client):
            line = await coordinator.line()
            before = coordinator.public
            package = coordinator.keep(task.initial_model(1))
            line.say(assignment=assignment(package))
            checked(await line.hear("offer"), before)
            await asyncio.to_thread(client.rotate_key)
            line.end()
            line = await coordinator.line()
            line.say(assignment=assignment(package))
            checked(await line.hear("offer"), coordinator.public)
            assert coordinator.public != before
        assert len(training.works) == 1

    play(scene)
    assert Identity.load(home / "identity.pem").public == coordinator.public
    assert not (home / "next.pem").exists()


def test_what_was_signed_while_the_key_changed_is_signed_anew(task, coordinator, home, training):
    async def scene():
        client = FakeClient(coordinator, task, home, train=training)
        async with running(client):
            line = await coordinator.line()
            training.go_on.clear()
            line.say(assignment=assignment(coordinator.keep(task.initial_model(1))))
            await until(lambda: training.works)
            await asyncio.to_thread(client.rotate_key)
            training.go_on.set()
            checked(await line.hear("offer"), coordinator.public)

    play(scene)


@pytest.mark.parametrize("is_bound", [False, True])
def test_a_change_of_keys_that_was_killed_is_ended_by_the_next_start(
    task, coordinator, home, is_bound
):
    async def scene():
        await visit(task, coordinator, home)
        fresh = next_key(home)
        if is_bound:
            coordinator.public = fresh
        assert await visit(task, coordinator, home) == coordinator.public == fresh

    play(scene)


@pytest.mark.parametrize(
    ("error", "stays"), [(AccessRefusedError("no"), False), (FLBaseError("what is that?"), True)]
)
def test_a_change_of_keys_that_is_refused_leaves_the_key_before(
    task, coordinator, home, error, stays
):
    async def scene():
        before = await visit(task, coordinator, home)
        next_key(home)
        coordinator.before_rotation.append(error)
        assert await visit(task, coordinator, home) == before
        assert (home / "next.pem").exists() == stays

    play(scene)


def test_a_change_of_keys_whose_challenge_was_of_before_a_restart_is_tried_again(
    task, coordinator, home
):
    async def scene():
        await visit(task, coordinator, home)
        coordinator.public = fresh = next_key(home)
        coordinator.before_rotation.append(TokenExpiredError("not given here"))
        assert await visit(task, coordinator, home) == coordinator.public == fresh

    play(scene)


def test_nobody_who_has_not_joined_has_a_key_to_change(home):
    with pytest.raises(StoreError, match="nobody has joined"):
        rotate_key(Invite("127.0.0.1:1", LAB, CLIENT, "join-1"), home=home)


def test_a_client_that_runs_is_not_changed_from_beside_it(task, coordinator, home):
    async def scene():
        async with running(FakeClient(coordinator, task, home)):
            await coordinator.line()
            with pytest.raises(StoreError, match="runs already"):
                await asyncio.to_thread(
                    rotate_key, Invite("127.0.0.1:1", LAB, CLIENT, "join-1"), home=home
                )

    play(scene)


def test_whoever_hears_no_answer_keeps_both_keys_and_asks_again(task, coordinator, home):
    async def scene():
        client = FakeClient(coordinator, task, home)
        async with running(client):
            line = await coordinator.line()
            coordinator.before_rotation.append(UnreachableError("cut"))
            with pytest.raises(UnreachableError):
                await asyncio.to_thread(client.rotate_key)
            fresh = Identity.load(home / "next.pem").public
            line.end()
            await coordinator.line()
        assert Identity.load(home / "identity.pem").public == coordinator.public == fresh

    play(scene)
