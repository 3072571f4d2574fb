"""Updates that are validly signed and must not count: a second one, and one that says wrong things."""

import asyncio
from types import SimpleNamespace

import numpy as np
import pytest

import flnb
from flnb.transport import Manifest
from flnb.transport.invite import Invite
from flnb.transport.v1 import federation_pb2 as pb
from tests.abuse.mutation import envelope_of
from tests.abuse.served import honest
from tests.e2e.remote_client import plan, task


@pytest.fixture
def coordinator(tmp_path):
    with flnb.Coordinator(tmp_path / "lab") as coordinator:
        coordinator.listen()
        yield coordinator


def door(coordinator):
    """Invites, as `honest` asks for them."""
    return SimpleNamespace(invite=lambda name: Invite.parse(coordinator.invite(name).text))


async def hear(client, kind):
    """The next note of a kind."""
    async with asyncio.timeout(20):
        async for note in client.call:
            if note.HasField(kind):
                return getattr(note, kind)
    raise AssertionError("the session ended")


async def offer(client, assignment, value, **changes):
    """Offer an update of one value everywhere; its verdict and its digest."""
    digest = await only_offer(client, assignment, value, **changes)
    return await hear(client, "verdict"), digest


async def only_offer(client, assignment, value, **changes):
    """Offer an update of one value everywhere, and hear nothing; its digest."""
    data = np.full(assignment.base.n_bytes // 4, value, np.float32).tobytes()
    manifest = Manifest.of(data)
    base = Manifest.from_message(assignment.base).digest
    envelope = envelope_of(assignment.id, base, manifest.to_message())
    for name, wrong in changes.items():
        envelope.ClearField(name)
        envelope.MergeFrom(pb.Envelope(**{name: wrong}))
    signed = envelope.SerializeToString()
    signature = client.identity.sign("flnb-update", signed)
    note = pb.Offer(envelope=signed, signature=signature, inline=data)
    await client.call.write(pb.ClientNote(offer=note))
    return manifest.digest.hex()


async def test_of_two_signed_updates_the_first_counts_and_both_are_named(coordinator):
    learning = task("softmax", 2)
    run = coordinator.run(plan(rounds=1), learning)
    entered = {"layout": learning.layout.hash}
    where = door(coordinator)
    async with honest(where, "a", **entered) as a, honest(where, "b", **entered) as b:
        work_a, work_b = await hear(a, "assignment"), await hear(b, "assignment")
        first, digest = await offer(a, work_a, 1.0)
        second, other = await offer(a, work_a, 2.0)
        again, _ = await offer(a, work_a, 1.0)
        assert (first.kind, again.kind) == (pb.Verdict.RECEIVED, pb.Verdict.RECEIVED)
        assert second.kind == pb.Verdict.REFUSED
        await offer(b, work_b, 1.0)
        await asyncio.to_thread(run.wait, 30)
        assert [row.state for row in coordinator.clients] == ["idle", "idle"]
    said = f"{digest} was received first, then {other}"
    (event,) = [row for row in run.events if row["kind"] == "client_update"]
    assert (event["client"], event["detail"]) == ("a", f"accepted: {said}")
    assert said in run.round(1).why()
    rows = coordinator.lab.sql("SELECT client, outcome, reason FROM assignments ORDER BY client")
    assert rows.df().to_numpy().tolist() == [["a", "accepted", said], ["b", "accepted", ""]]
    assert np.allclose(run.model().values - start_of(learning), 1.0, atol=1e-6)


def start_of(learning):
    """The parameters that a run with the plan of these tests begins with."""
    from flnb.coordinator.jobs import first_version

    return first_version(plan(), learning).model.values


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"base_digest": b"x" * 32}, "another version"),
        ({"update": pb.Manifest(n_bytes=10**10, hashes=bytes(32))}, "it has 10,000,000,000 bytes"),
        ({"loss": float("inf")}, "its loss is inf"),
        pytest.param({"n_examples": 0}, "0 examples", marks=pytest.mark.long),
        pytest.param({"train_s": float("nan")}, "not finite", marks=pytest.mark.long),
    ],
)
async def test_a_signed_word_that_cannot_be_is_refused_and_the_round_goes_on(
    coordinator, changes, said
):
    learning = task("softmax", 2)
    run = coordinator.run(plan(rounds=1, need=1), learning)
    entered = {"layout": learning.layout.hash}
    where = door(coordinator)
    async with honest(where, "a", **entered) as a, honest(where, "b", **entered) as b:
        work_a, work_b = await hear(a, "assignment"), await hear(b, "assignment")
        verdict, _ = await offer(a, work_a, 1.0, **changes)
        assert verdict.kind == pb.Verdict.REFUSED
        assert said in verdict.reason
        await offer(b, work_b, 1.0)
        await asyncio.to_thread(run.wait, 30)
    assert "a refused: " in run.round(1).why()
    assert said in run.round(1).why()
