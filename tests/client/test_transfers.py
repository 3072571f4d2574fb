"""Chunks of versions and of updates, and what happens when their way is broken."""

from __future__ import annotations

import numpy as np
import pytest

from flnb.client import transfers
from flnb.tensors import Model
from flnb.transport.identity import verify
from flnb.transport.v1 import federation_pb2 as pb
from tests.client.coordinators import LAB, FakeClient, assignment, play, running, until


def test_a_client_proves_again_who_it_is_and_takes_the_new_token(wide, coordinator, home):
    async def scene():
        async with running(FakeClient(coordinator, wide, home)):
            line = await coordinator.line()
            line.say(renew=pb.Renew(nonce=b"n" * 32))
            proof = await line.hear("proof")
            assert proof.nonce == b"n" * 32
            assert verify(
                coordinator.public, proof.signature, "flnb-sign-in", LAB.encode(), proof.nonce
            )
            coordinator.tokens.add("token-2")
            line.say(token=pb.Token(access_token="token-2", lifetime_s=600.0))
            line.say(assignment=assignment(coordinator.keep(wide.initial_model(1))))
            await line.hear("offer")
            assert coordinator.transfer_tokens == ["token-2"]
            line.end()
            assert (await coordinator.line()).token == "token-2"
        assert coordinator.sign_ins == 1

    play(scene)


def test_a_base_that_was_changed_on_its_way_is_never_trained_on(task, coordinator, home, training):
    package = coordinator.keep(task.initial_model(1))
    work = assignment(package)
    work.inline = b"\1" + work.inline[1:]

    async def scene():
        async with running(FakeClient(coordinator, task, home, train=training)) as _:
            line = await coordinator.line()
            line.say(assignment=work)
            await line.hear("offer")
        # The right one was fetched in place of what came with the assignment.
        assert coordinator.fetched == [0]

    play(scene)


def test_only_chunks_that_differ_are_fetched_and_also_after_a_restart(
    wide, coordinator, home, training
):
    first = wide.initial_model(1)
    values = first.values.copy()
    values[70_000] += 1.0
    second = Model(wide.layout, values, first.integers)
    seen = []

    def train(base, work):
        seen.append(base.values.tobytes())
        return training(base, work)

    async def session(model, number):
        coordinator.fetched.clear()
        async with running(FakeClient(coordinator, wide, home, train=train)):
            line = await coordinator.line()
            line.say(assignment=assignment(coordinator.keep(model), round=number))
            await line.hear("offer")

    async def scene():
        await session(first, 1)
        assert coordinator.fetched == [0, 1, 2, 3, 4]
        await session(second, 2)
        assert coordinator.fetched == [1]
        await session(second, 3)
        assert coordinator.fetched == []

    play(scene)
    assert seen == [model.values.tobytes() for model in (first, second, second)]


def test_a_broken_download_goes_on_with_what_is_missing(wide, coordinator, home, training):
    spoilt = []

    def spoil(place, data):
        if place == 3 and not spoilt:
            spoilt.append(place)
            return bytes(len(data))
        return data

    coordinator.cut_after, coordinator.spoil = [4], spoil
    model = wide.initial_model(1)

    async def scene():
        async with running(FakeClient(coordinator, wide, home, train=training)):
            line = await coordinator.line()
            line.say(assignment=assignment(coordinator.keep(model)))
            await line.hear("offer")
        assert coordinator.fetched == [0, 1, 2, 3, 3, 4]

    play(scene)


def test_a_broken_upload_is_offered_again_and_goes_on(wide, coordinator, home, training):
    client = FakeClient(coordinator, wide, home, train=training)

    async def scene():
        async with running(client):
            line = await coordinator.line()
            line.say(assignment=(work := assignment(coordinator.keep(wide.initial_model(1)))))
            offer = await line.hear("offer")
            coordinator.cut_after = [2]
            line.say(wanted={"assignment": work.id, "chunks": range(5)})
            assert await line.hear("offer") == offer
            assert sorted(coordinator.taken) == [0, 1]
            line.say(wanted={"assignment": work.id, "chunks": [2, 3, 4]})
            await until(lambda: client.said("sent"))
        assert sorted(coordinator.taken) == [0, 1, 2, 3, 4]
        assert b"".join(coordinator.taken[place] for place in range(5)).startswith(
            np.ones(wide.layout.n_values, np.float32).tobytes()
        )

    play(scene)


def test_transfers_that_took_long_before_they_broke_go_on(
    wide, coordinator, home, training, monkeypatch
):
    monkeypatch.setattr(transfers, "STUCK_S", 0.05)
    coordinator.chunk_s = 0.03
    client = FakeClient(coordinator, wide, home, train=training)

    async def scene():
        async with running(client):
            line = await coordinator.line()
            coordinator.cut_after = [4]
            line.say(assignment=(work := assignment(coordinator.keep(wide.initial_model(1)))))
            await line.hear("offer")
            coordinator.cut_after = [4]
            line.say(wanted={"assignment": work.id, "chunks": range(5)})
            await line.hear("offer")
            line.say(wanted={"assignment": work.id, "chunks": [4]})
            await until(lambda: client.said("sent"))
        assert coordinator.fetched == [0, 1, 2, 3, 4]
        assert not client.said("failed")

    play(scene)


def test_an_upload_that_stood_in_line_for_long_is_not_given_up_for_that(
    wide, coordinator, home, training, monkeypatch
):
    monkeypatch.setattr(transfers, "STUCK_S", 0.5)
    monkeypatch.setattr("flnb.client.backoff.FIRST_S", 0.01)
    coordinator.place_s = 0.6
    client = FakeClient(coordinator, wide, home, train=training)

    async def scene():
        async with running(client):
            line = await coordinator.line()
            line.say(assignment=(work := assignment(coordinator.keep(wide.initial_model(1)))))
            for cut in ([0], [0], []):  # of two tries in a row nothing gets through
                await line.hear("offer")
                coordinator.cut_after = cut
                line.say(wanted={"assignment": work.id, "chunks": range(5)})
            await until(lambda: client.said("sent"))
        assert not client.said("failed")

    play(scene)


@pytest.mark.parametrize("way", ["up", "down"])
def test_a_transfer_that_was_cut_while_it_stood_in_line_is_not_given_up_for_that(
    wide, coordinator, home, training, monkeypatch, way
):
    monkeypatch.setattr(transfers, "STUCK_S", 0.5)
    monkeypatch.setattr("flnb.client.backoff.FIRST_S", 0.01)
    client = FakeClient(coordinator, wide, home, train=training)

    async def scene():
        async with running(client):
            line = await coordinator.line()
            coordinator.place_s = 0.4
            coordinator.cut_in_line[way] = 4
            line.say(assignment=(work := assignment(coordinator.keep(wide.initial_model(1)))))
            for _ in range(5 if way == "up" else 1):  # a download is tried again without a word
                await line.hear("offer")
                line.say(wanted={"assignment": work.id, "chunks": range(5)})
            await until(lambda: client.said("sent"))
        assert not client.said("failed")

    play(scene)


def test_a_chunk_that_arrives_wrong_each_time_is_given_up(wide, coordinator, home, monkeypatch):
    monkeypatch.setattr(transfers, "STUCK_S", 0.05)
    coordinator.spoil = lambda place, data: bytes(len(data)) if place == 3 else data

    async def scene():
        async with running(FakeClient(coordinator, wide, home)):
            line = await coordinator.line()
            line.say(assignment=assignment(coordinator.keep(wide.initial_model(1))))
            assert "chunk 3 of the version was changed" in (await line.hear("failure")).traceback
        assert coordinator.fetched[:6] == [0, 1, 2, 3, 4, 3]

    play(scene)


def test_an_update_that_is_not_kept_any_more_is_not_waited_for(wide, coordinator, home):
    async def scene():
        async with running(FakeClient(coordinator, wide, home)):
            line = await coordinator.line()
            work = assignment(coordinator.keep(wide.initial_model(1)))
            line.say(wanted={"assignment": work.id, "chunks": [0]})
            assert "not kept" in (await line.hear("failure")).traceback

    play(scene)


def test_places_that_an_update_does_not_have_end_the_session_and_not_the_client(
    wide, coordinator, home, training
):
    client = FakeClient(coordinator, wide, home, train=training)

    async def scene():
        async with running(client):
            line = await coordinator.line()
            line.say(assignment=(work := assignment(coordinator.keep(wide.initial_model(1)))))
            await line.hear("offer")
            line.say(wanted={"assignment": work.id, "chunks": [5]})
            await coordinator.line()
        assert "chunk 5 of a vector of 5" in client.said("reconnecting")[0]

    play(scene)


def test_a_version_that_is_gone_is_reported(wide, coordinator, home):
    async def scene():
        async with running(FakeClient(coordinator, wide, home)):
            line = await coordinator.line()
            work = assignment(coordinator.keep(wide.initial_model(1)))
            coordinator.packages.clear()
            line.say(assignment=work)
            assert "no version" in (await line.hear("failure")).traceback

    play(scene)
