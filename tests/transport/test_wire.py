"""Both ends of the wire, over real sockets on loopback."""

import asyncio
import contextlib
import random
import re
import subprocess
import sys
import time
from pathlib import Path

import grpc
import numpy as np
import pytest
from grpc import aio

from flnb.core import errors
from flnb.core.errors import (
    AccessRefusedError,
    FLBaseError,
    IntegrityError,
    NotFoundError,
    PlanError,
    StorageFullError,
    StorageUnreachableError,
    TokenExpiredError,
    UnreachableError,
)
from flnb.transport import CHUNK_BYTES, Authority, Limits, Link, Manifest, Server
from flnb.transport.convert import PROTOCOL, REASON_KEY, check_protocol, refusal, told
from flnb.transport.ending import Ending
from flnb.transport.limits import Allowance, connections_at_most
from flnb.transport.manifest import chunks_in
from flnb.transport.v1 import federation_pb2 as pb

ROOT = Path(__file__).parents[2]
MODEL = np.random.default_rng(1).bytes(64_000_000)
SMALL = MODEL[: 3 * CHUNK_BYTES + 7]
METHODS = ["Join", "Challenge", "SignIn", "Session", "Fetch", "Send"]


def note(text):
    return pb.ClientNote(failure=pb.Failure(traceback=text))


def slices_of(data, manifest):
    return lambda places: b"".join(data[manifest.span(place)] for place in places)


async def fetched(link, token, digest, places):
    messages = [message async for message in link.fetch(token, digest, places)]
    return [bytes(chunk) for message in messages for chunk in chunks_in(message)]


@contextlib.asynccontextmanager
async def raw_call(wire, method, token=None):
    """One call below the link, where anything can be said."""
    metadata = aio.Metadata(("authorization", f"Bearer {token}")) if token else None
    async with aio.insecure_channel(wire.address) as channel:
        yield channel.stream_stream(f"/flnb.v1.Federation/{method}")(metadata=metadata)


async def refused_with(call):
    with pytest.raises(aio.AioRpcError) as caught:
        await call.read()
    return caught.value


async def said(call, messages):
    """Say some messages and hear what a link would hear."""
    async with Ending(call, "the server").in_our_words():
        for message in messages:
            await call.write(message)
        await call.done_writing()
        await call.read()


async def soon(condition):
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - what is waited for lies in another thread or process
            await asyncio.sleep(0.01)


# --- who may come in ------------------------------------------------------------------------------


async def test_a_client_joins_and_signs_in(wire, identity):
    async with wire() as it:
        assert await it.link.join("welcome", identity) == ("anna", "lab-1")
        access = await it.link.sign_in("anna", "lab-1", identity)
        assert (await it.hub.claims(access.token)).name == "anna"
        assert access.lifetime_s == 60.0
        assert it.hub.asked == ["join from 127.0.0.1", "challenge", "sign-in"]


async def test_a_refusal_arrives_with_its_class_its_words_and_its_hint(wire, identity):
    async with wire() as it:
        with pytest.raises(AccessRefusedError, match="no such invite\n→ ask for another"):
            await it.link.join("guessed", identity)
        await it.link.join("welcome", identity)
        with pytest.raises(AccessRefusedError, match="not signed by its key"):
            await it.link.sign_in("anna", "another-lab", identity)


ERRORS = [
    AccessRefusedError("you may not", hint="ask"),
    TokenExpiredError("too old", hint="sign in"),
    IntegrityError("chunk 3 is not the one that was signed — größer"),
    NotFoundError("version", "abcd", ["abce"]),
    UnreachableError("busy", hint="later"),
    PlanError("no"),
    errors.TaskError("other layout"),
    errors.RoundStateError("closed"),
    FLBaseError("upgrade"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
async def test_every_refusal_is_raised_again_at_the_client(wire, identity, error):
    async with wire() as it:
        it.hub.fault = error
        with pytest.raises(FLBaseError) as caught:
            await it.link.join("welcome", identity)
    assert type(caught.value) is type(error)
    assert str(caught.value) == str(error)
    assert vars(caught.value) == vars(error)


async def test_a_subclass_arrives_as_the_nearest_class_that_clients_know(wire, identity):
    async with wire() as it:
        it.hub.fault = errors.FingerprintError("r1", {"model": ("a", "b")})
        with pytest.raises(errors.TaskError, match="run 'r1' was started with another task"):
            await it.link.join("welcome", identity)


async def test_a_full_disk_is_told_without_its_place(wire, identity):
    async with wire() as it:
        it.hub.fault = StorageFullError("/srv/secret-lab", 5_000_000)
        with pytest.raises(StorageFullError, match=r"at the coordinator \(5\.0 MB"):
            await it.link.join("welcome", identity)
        it.hub.fault = StorageFullError("/srv/secret-lab", 5_000_000)
        async with raw_call(it, "SignIn") as call:
            await call.write(b"")
            status = await refused_with(call)
        assert status.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "secret" not in repr(status)


@pytest.mark.parametrize(
    "fault", [ValueError("secret"), errors.StoreError("/srv/secret is torn")], ids=repr
)
async def test_trouble_of_the_coordinator_is_logged_there_and_told_without_details(
    wire, identity, fault, caplog
):
    async with wire() as it:
        it.hub.fault = fault
        with pytest.raises(FLBaseError, match="the coordinator failed") as caught:
            await it.link.join("welcome", identity)
        assert await it.link.join("welcome", identity) == ("anna", "lab-1")
    assert type(caught.value) is FLBaseError
    assert "secret" not in str(caught.value)
    assert "secret" in caplog.text


async def test_a_call_that_is_cancelled_within_does_not_leave_the_client_waiting(wire, identity):
    async with wire() as it:
        it.hub.fault = asyncio.CancelledError()
        with pytest.raises(UnreachableError, match="the call was ended"):
            await it.link.join("welcome", identity)


@pytest.mark.parametrize("method", ["Session", "Fetch", "Send"])
async def test_without_a_token_nothing_is_asked_of_the_hub(wire, method):
    async with wire() as it:
        async with raw_call(it, method) as call:
            status = await refused_with(call)
        assert status.code() is grpc.StatusCode.UNAUTHENTICATED
        assert status.details() == "no access token"
        async with raw_call(it, method, token="made.up.token") as call:
            assert (await refused_with(call)).code() is grpc.StatusCode.UNAUTHENTICATED
        assert it.hub.asked == []


async def test_an_expired_token_is_told_from_a_bad_one(wire, hello):
    async with wire() as it:
        old = it.hub.token(lifetime_s=0.01)
        await asyncio.sleep(0.05)
        session = it.link.session(old)
        with pytest.raises(TokenExpiredError):
            [_ async for _ in session]
        with pytest.raises(TokenExpiredError):
            await fetched(it.link, old, b"d", [0])
        with pytest.raises(TokenExpiredError):
            await it.link.send(old, pb.AssignmentId(), [0], lambda places: b"x")
        async with raw_call(it, "Session", token=old) as call:
            assert (await refused_with(call)).code() is grpc.StatusCode.UNAUTHENTICATED


async def test_a_client_that_speaks_another_protocol_hears_both_numbers_and_who_must_upgrade(wire):
    async with wire() as it:
        async with raw_call(it, "Join") as call:
            await call.write(pb.JoinRequest(protocol=7, version="9.1").SerializeToString())
            status = await refused_with(call)
        assert status.code() is grpc.StatusCode.FAILED_PRECONDITION
        assert status.details() == (
            f"the client speaks protocol 7 (flnb 9.1), the coordinator speaks {PROTOCOL}"
        )
        async with raw_call(it, "Challenge") as call:
            await call.write(pb.ChallengeRequest(client="anna").SerializeToString())
            assert "speaks protocol 0" in (await refused_with(call)).details()
        async with raw_call(it, "Session", token=it.hub.token()) as call:
            await call.write(
                pb.ClientNote(hello=pb.Hello(protocol=PROTOCOL + 1)).SerializeToString()
            )
            assert f"speaks protocol {PROTOCOL + 1}" in (await refused_with(call)).details()
        assert it.hub.asked == []


@pytest.mark.parametrize(("theirs", "older"), [(0, "client"), (PROTOCOL + 1, "coordinator")])
def test_the_older_side_must_upgrade(theirs, older):
    with pytest.raises(FLBaseError, match=f"upgrade flnb at the {older}"):
        check_protocol(theirs)


# --- sessions -------------------------------------------------------------------------------------


async def test_notes_go_both_ways_in_order_until_the_coordinator_ends_the_session(wire, hello):
    async with wire() as it:
        session = it.link.session(it.hub.token())
        await session.write(hello)
        for number in range(100):
            await session.write(note(str(number)))
        await session.write(note("end"))
        answers = [answer.verdict.reason async for answer in session]
    assert answers == ["hello", *map(str, range(100))]
    assert it.hub.heard[0] == hello
    assert it.hub.ended == ["anna"]


async def test_both_sides_may_say_many_things_at_once(wire, hello):
    async with wire() as it:
        session, answers = it.link.session(it.hub.token()), []

        async def hear():
            answers.extend([answer async for answer in session])

        await session.write(hello)
        hearing = asyncio.create_task(hear())
        await asyncio.gather(*(session.write(note("y" * 100_000)) for _ in range(50)))
        await session.write(note("many"))
        await session.write(note("end"))
        await hearing
    assert sum(answer.goodbye.reason == "x" * 100_000 for answer in answers) == 50
    assert sum(answer.verdict.reason == "y" * 100_000 for answer in answers) == 50


async def test_a_client_that_leaves_ends_its_session_in_peace(wire, hello):
    async with wire() as it:
        session = it.link.session(it.hub.token())
        await session.write(hello)
        reader = asyncio.create_task(anext(aiter(session)))
        assert (await reader).verdict.reason == "hello"
        await session.close()
        with pytest.raises(StopAsyncIteration):
            await anext(aiter(session))
        await soon(lambda: it.hub.ended == ["anna"])


async def test_a_client_that_is_gone_ends_its_session_at_the_coordinator(wire, hello):
    async with wire() as it:
        other = it.other_link()
        session = other.session(it.hub.token())
        await session.write(hello)
        await anext(aiter(session))
        await other.close()
        await soon(lambda: it.hub.ended == ["anna"])
        with pytest.raises(UnreachableError):
            await session.write(note("still there?"))


async def test_a_client_leaves_although_the_coordinator_does_not_answer(wire, hello):
    async with wire() as it:
        session = it.link.session(it.hub.token())
        await session.write(hello)
        await anext(aiter(session))
        await session.write(note("stay"))
        reader = asyncio.create_task(anext(aiter(session), "the end"))
        await asyncio.sleep(0.05)
        await session.close()
        assert await reader == "the end"


async def test_a_link_that_is_closed_ends_what_is_open_on_it(wire, hello):
    async with wire() as it:
        session = it.link.session(it.hub.token())
        await session.write(hello)
        await anext(aiter(session))
        reader = asyncio.create_task(anext(aiter(session)))
        await asyncio.sleep(0.05)
        await it.link.close()
        with pytest.raises(UnreachableError, match="was closed"):
            await reader


async def test_a_session_that_is_refused_says_why(wire, hello):
    async with wire() as it:
        it.hub.fault = AccessRefusedError("a viewer has no session")
        session = it.link.session(it.hub.token())
        await session.write(hello)
        with pytest.raises(AccessRefusedError, match="a viewer has no session"):
            [_ async for _ in session]
        with pytest.raises(AccessRefusedError, match="a viewer has no session"):
            await session.write(hello)
        it.hub.fault = AccessRefusedError("a viewer has no session")
        async with raw_call(it, "Session", token=it.hub.token()) as call:
            await call.write(hello.SerializeToString())
            assert (await refused_with(call)).code() is grpc.StatusCode.PERMISSION_DENIED


async def test_a_session_begins_with_a_hello(wire):
    async with wire() as it:
        session = it.link.session(it.hub.token())
        await session.write(note("first"))
        with pytest.raises(IntegrityError, match="first note of a session is a hello"):
            [_ async for _ in session]


async def test_who_asks_for_nothing_is_not_waited_for(wire):
    async with wire(Limits(sign_in_timeout_s=0.2)) as it:
        for method in METHODS:
            async with raw_call(it, method, token=it.hub.token()) as call:
                assert "nothing was asked within 0.2 s" in (await refused_with(call)).details()


# --- transfers ------------------------------------------------------------------------------------


async def test_a_model_is_fetched_bit_for_bit(wire):
    async with wire() as it:
        manifest = it.hub.offer(MODEL)
        places = range(manifest.chunk_count)
        chunks = await fetched(it.link, it.hub.token(), manifest.digest, places)
    assert b"".join(chunks) == MODEL


async def test_an_update_is_sent_bit_for_bit(wire, work):
    manifest = Manifest.of(MODEL)
    async with wire() as it:
        places = range(manifest.chunk_count)
        taken = await it.link.send(it.hub.token(), work, places, slices_of(MODEL, manifest))
        (sink,) = it.hub.sinks
        assert "flnb-transfer" not in {task.get_name() for task in asyncio.all_tasks()}
    assert taken == manifest.chunk_count
    assert b"".join(sink.chunks[place] for place in places) == MODEL
    assert sink.closed == [True]


async def test_only_chunks_that_are_wanted_travel(wire, work):
    async with wire() as it:
        manifest, token = it.hub.offer(SMALL), it.hub.token()
        chunk_at = slices_of(SMALL, manifest)
        chunks = await fetched(it.link, token, manifest.digest, [1, 3])
        assert chunks == [chunk_at([1]), chunk_at([3])]
        assert await it.link.send(token, work, [1, 3], chunk_at) == 2
        assert it.hub.sinks[0].chunks == {1: chunk_at([1]), 3: chunk_at([3])}
        assert await it.link.send(token, work, [], chunk_at) == 0
        assert await fetched(it.link, token, manifest.digest, []) == []


async def test_what_cannot_be_fetched_is_refused(wire):
    async with wire() as it:
        manifest, token = it.hub.offer(SMALL), it.hub.token()
        with pytest.raises(NotFoundError, match="no version '00ff'\n→ there is: version 7"):
            await fetched(it.link, token, b"\0\xff", [0])
        with pytest.raises(IntegrityError, match="chunk 4 of a vector of 4 chunks"):
            await fetched(it.link, token, manifest.digest, [0, 4])
        for places in ([0, 0], [1, 0]):
            with pytest.raises(IntegrityError, match="once each, in ascending order"):
                await fetched(it.link, token, manifest.digest, places)


async def test_a_client_may_stop_fetching_in_the_middle(wire):
    async with wire() as it:
        manifest, token = it.hub.offer(MODEL), it.hub.token()
        for _ in range(10):
            chunks = it.link.fetch(token, manifest.digest, range(manifest.chunk_count))
            await anext(chunks)
            await chunks.aclose()
        assert len(await fetched(it.link, token, manifest.digest, [0])) == 1


WHOLE = b"a" * CHUNK_BYTES
BAD_UPLOADS = {
    "a chunk too long": ([0, 1], [WHOLE, b"b" * (CHUNK_BYTES + 1)], "chunk 1 has 262145 bytes"),
    "a chunk too short": ([0, 1], [b"a" * 10, b"b"], "chunk 0 has 10 bytes"),
    "a short one within": ([0, 1, 2], [WHOLE + b"a" * 10, b"b"], "chunk 0 has 262154 bytes"),
    "too many in a message": (range(5), [5 * WHOLE], "chunk 0 has 1310720 bytes"),
    "an empty message": ([0], [b""], "chunk 0 has 0 bytes"),
    "a chunk too many": ([0], [WHOLE, b"b"], "more than the 1 chunks"),
    "a chunk too few": ([0, 1], [WHOLE], "ended after 1 of 2"),
    "a place named twice": ([0, 0], [WHOLE] * 2, "once each, in ascending order"),
    "a place out of order": ([1, 0], [WHOLE] * 2, "once each, in ascending order"),
    "a place beyond every model": ([2**31], [b"a"], "chunk 2147483648 of a vector of 8192"),
}


@pytest.mark.parametrize("case", BAD_UPLOADS)
async def test_an_upload_is_refused_for(wire, work, case):
    places, chunks, words = BAD_UPLOADS[case]
    async with wire() as it:
        raw = pb.SendRequest(assignment=work, chunks=places).SerializeToString()
        async with raw_call(it, "Send", token=it.hub.token()) as call:
            with pytest.raises(IntegrityError, match=words):
                await said(call, [raw, *chunks])
        assert [sink.closed for sink in it.hub.sinks] in ([], [[False]])


async def test_words_about_a_bad_chunk_arrive_although_the_client_is_still_writing(
    wire, work, sink_of
):
    manifest = Manifest.of(MODEL)
    async with wire() as it:
        for fault in [IntegrityError("chunk 0 is not the one"), StorageFullError("/lab", 7)] * 5:
            it.hub.next_sink = sink_of(fault)
            places = range(manifest.chunk_count)
            with pytest.raises(type(fault), match=r"chunk 0 is not|no space left at the coord"):
                await it.link.send(it.hub.token(), work, places, slices_of(MODEL, manifest))
        assert [sink.closed for sink in it.hub.sinks] == [[False]] * 10


async def test_a_client_that_stops_in_the_middle_of_an_upload_leaves_it_incomplete(
    wire, work, sink_of
):
    async with wire() as it:
        it.hub.next_sink = sink = sink_of()
        arrived = sink.first

        def chunk_at(places):
            return SMALL[:CHUNK_BYTES] * len(places)

        async with raw_call(it, "Send", token=it.hub.token()) as call:
            await call.write(pb.SendRequest(chunks=range(100)).SerializeToString())
            await call.write(chunk_at([0]))
            await arrived.wait()
            call.cancel()
            await asyncio.wait_for(sink.over.wait(), 5)
        it.hub.next_sink = other = sink_of(hold=asyncio.Event())
        sending = asyncio.create_task(it.link.send(it.hub.token(), work, range(100), chunk_at))
        await soon(lambda: len(it.hub.sinks) == 2)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        await asyncio.wait_for(other.over.wait(), 5)
        assert (sink.closed, other.closed) == ([False], [False])


async def test_a_revoked_client_loses_its_running_transfers_within_a_second(wire, work, sink_of):
    async with wire() as it:
        token, manifest = it.hub.token(), it.hub.offer(MODEL)
        it.hub.next_sink = sink = sink_of(hold=asyncio.Event())
        sending = asyncio.create_task(
            it.link.send(token, work, range(9), lambda places: MODEL[: CHUNK_BYTES * len(places)])
        )
        slow = it.link.fetch(token, manifest.digest, range(manifest.chunk_count))
        await anext(slow)
        await soon(lambda: it.hub.sinks)
        began = time.monotonic()
        it.hub.revoked.add("anna")
        with pytest.raises(AccessRefusedError, match="anna was revoked"):
            await sending
        assert time.monotonic() - began < 1.0
        assert sink.closed == [False]
        await asyncio.sleep(0.6)
        with pytest.raises(AccessRefusedError, match="anna was revoked"):
            [_ async for _ in slow]


async def test_a_token_that_ends_ends_the_transfer(wire, work, sink_of):
    async with wire() as it:
        it.hub.next_sink = sink_of(hold=asyncio.Event())
        with pytest.raises(TokenExpiredError):
            await it.link.send(it.hub.token(lifetime_s=0.3), work, [0], lambda places: b"x")


async def test_a_transfer_that_stands_still_is_ended(wire, sink_of):
    async with wire(Limits(lease_s=0.3)) as it:
        it.hub.next_sink = sink = sink_of()
        async with raw_call(it, "Send", token=it.hub.token()) as call:
            await call.write(pb.SendRequest(chunks=[0, 1]).SerializeToString())
            await call.write(b"a" * CHUNK_BYTES)
            status = await refused_with(call)
        assert status.details() == "the transfer stood still for 0.3 s"
        assert sink.closed == [False]


# --- bounds ---------------------------------------------------------------------------------------


async def test_uploads_above_the_bound_wait_for_their_turn(wire, work, sink_of):
    async with wire(Limits(uploads=1)) as it:
        it.hub.next_sink = first = sink_of(hold=asyncio.Event())
        sends = [
            asyncio.create_task(it.link.send(it.hub.token(name), work, [0], lambda places: b"x"))
            for name in ("anna", "ben", "cleo")
        ]
        await asyncio.sleep(0.3)
        assert len(it.hub.sinks) == 1
        first.hold.set()
        assert await asyncio.gather(*sends) == [1, 1, 1]


async def test_a_client_has_few_transfers_open_at_once(wire, work, sink_of):
    async with wire(Limits(transfers_per_client=2)) as it:
        hold = asyncio.Event()
        sends = []
        for count in (1, 2):
            it.hub.next_sink = sink_of(hold=hold)
            send = it.link.send(it.hub.token(), work, [0], lambda places: b"x")
            sends.append(asyncio.create_task(send))
            await soon(lambda count=count: len(it.hub.sinks) == count)
        with pytest.raises(UnreachableError, match="anna has 2 transfers open"):
            await fetched(it.link, it.hub.token(), b"d", [0])
        assert await it.link.send(it.hub.token("ben"), work, [0], lambda places: b"x") == 1
        hold.set()
        assert await asyncio.gather(*sends) == [1, 1]
        assert await it.link.send(it.hub.token(), work, [0], lambda places: b"x") == 1


async def test_a_client_makes_few_calls_a_second(wire):
    async with wire(Limits(requests_per_s=3.0)) as it:
        manifest = it.hub.offer(SMALL)
        for _ in range(3):
            await fetched(it.link, it.hub.token(), manifest.digest, [0])
        with pytest.raises(UnreachableError, match="more than 3 calls a second from anna"):
            await fetched(it.link, it.hub.token(), manifest.digest, [0])
        await fetched(it.link, it.hub.token("ben"), manifest.digest, [0])
        await asyncio.sleep(0.8)
        await fetched(it.link, it.hub.token(), manifest.digest, [0])


async def test_a_session_that_talks_too_much_is_heard_slowly(wire, hello):
    async with wire(Limits(requests_per_s=20.0)) as it:
        session = it.link.session(it.hub.token())
        began = time.monotonic()
        await session.write(hello)
        for number in range(29):
            await session.write(note(str(number)))
        await session.write(note("end"))
        answers = [answer async for answer in session]
    assert len(answers) == 30
    assert time.monotonic() - began > 0.4


async def test_sessions_above_the_bound_are_refused_until_one_ends(wire, hello):
    async with wire(Limits(clients=1)) as it:
        first = it.link.session(it.hub.token())
        await first.write(hello)
        await anext(aiter(first))
        second = it.link.session(it.hub.token("ben"))
        with pytest.raises(UnreachableError, match="1 clients are here"):
            [_ async for _ in second]
        await first.close()
        await soon(lambda: it.hub.ended)
        third = it.link.session(it.hub.token("ben"))
        await third.write(hello)
        assert (await anext(aiter(third))).verdict.reason == "hello"
        await third.close()


async def test_whoever_fails_to_join_too_often_is_not_heard_for_a_while(wire, identity):
    async with wire(Limits(failed_joins_per_minute=2.0)) as it:
        for _ in range(5):
            assert await it.link.join("welcome", identity) == ("anna", "lab-1")
        for _ in range(2):
            with pytest.raises(AccessRefusedError):
                await it.link.join("guessed", identity)
        with pytest.raises(UnreachableError, match=r"to join from 127\.0\.0\.1 have failed"):
            await it.link.join("welcome", identity)
        assert len(it.hub.asked) == 7


async def test_a_message_above_the_bound_is_refused_before_it_is_read(wire, identity):
    async with wire() as it:
        with pytest.raises(IntegrityError, match=r"too long.*larger than max"):
            await it.link.join("t" * 5_000_000, identity)
        async with raw_call(it, "Join") as call:
            with pytest.raises(IntegrityError, match="larger than max"):
                await said(call, [bytes(5_000_000)])
        async with raw_call(it, "Session", token="t" * 100_000) as call:
            status = await refused_with(call)
        assert status.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert it.hub.asked == []


def test_what_was_done_is_forgotten_evenly_and_strangers_do_not_fill_the_memory():
    class Hand:
        now_s = 0.0

        def monotonic_s(self):
            return self.now_s

    clock = Hand()
    allowance = Allowance(per_s=2.0, at_once=4.0, names=100, clock=clock)
    assert [allowance.spend("a") for _ in range(6)] == [0, 0, 0, 0, 0.5, 1.0]
    clock.now_s = 1.5
    assert allowance.early_s("a") == 0.0
    assert [allowance.spend("a") for _ in range(2)] == [0.0, 0.5]
    for stranger in range(1000):
        allowance.spend(str(stranger))
    assert len(allowance._done) == 100
    assert allowance.early_s("a") == 0.0


def test_limits_that_cannot_work_together_are_refused():
    with pytest.raises(PlanError, match=r"manifest of a model of 64\.0 GB needs message_bytes="):
        Limits(model_bytes=64 * 10**9)
    with pytest.raises(PlanError):
        Limits(uploads=0)
    with pytest.raises(PlanError):
        Limits(message_bytes=CHUNK_BYTES)


# --- ports and certificates -----------------------------------------------------------------------


async def test_a_port_that_is_taken_is_refused_with_what_to_do(wire):
    async with wire() as it:
        words = f"cannot listen on port {it.port} of 127.0.0.1: Address already in use"
        with pytest.raises(PlanError, match=f"{re.escape(words)}\n→ .*port 0 is any free one"):
            await Server(it.hub, Limits()).start("127.0.0.1", it.port)
        other = aio.server()  # by default gRPC would share the port
        with pytest.raises(RuntimeError):
            other.add_insecure_port(it.address)


@pytest.mark.parametrize("host", ["203.0.113.7", "no-such-host.invalid"])
async def test_an_address_that_is_not_of_this_machine_is_refused(wire, host, tmp_path):
    certificate = Authority.create(tmp_path / "ca", "lab").issue([host])
    async with wire() as it:
        with pytest.raises(PlanError, match=f"cannot listen on port 0 of {host}"):
            await Server(it.hub, Limits()).start(host, 0, certificate)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.1", "lab.example", ""])
async def test_without_tls_a_server_listens_on_loopback_only(wire, host):
    async with wire() as it:
        with pytest.raises(PlanError, match="must not listen without TLS"):
            await Server(it.hub, Limits()).start(host, 0)


async def test_without_a_certificate_a_link_goes_to_loopback_only():
    with pytest.raises(PlanError, match=r"no certificate for lab\.example:7070"):
        Link("lab.example:7070")
    with pytest.raises(PlanError, match="not an address"):
        Link("lab.example", b"certificate")


async def test_the_server_listens_on_ipv6_too(wire, identity):
    async with wire() as it:
        server = Server(it.hub, Limits())
        port = await server.start("::1", 0)
        link = Link(f"[::1]:{port}")
        await link.join("welcome", identity)
        await link.close()
        await server.stop(0.1)
        assert it.hub.asked == ["join from [::1]"]


async def test_under_tls_a_client_with_the_right_authority_gets_through(wire, tmp_path, identity):
    authority = Authority.create(tmp_path / "ca", "lab")
    tls = authority.issue(["127.0.0.1"])
    async with wire(tls=tls, certificate=authority.certificate) as it:
        assert await it.link.join("welcome", identity) == ("anna", "lab-1")
        manifest = it.hub.offer(SMALL)
        places = range(manifest.chunk_count)
        chunks = await fetched(it.link, it.hub.token(), manifest.digest, places)
        assert b"".join(chunks) == SMALL


async def test_a_certificate_of_another_authority_or_host_is_told_as_such(wire, tmp_path, identity):
    authority = Authority.create(tmp_path / "ca", "lab")
    other = Authority.create(tmp_path / "other", "lab")
    async with wire(tls=authority.issue(["127.0.0.1"]), certificate=other.certificate) as it:
        with pytest.raises(UnreachableError, match=f"wrong certificate at {it.address}"):
            await it.link.join("welcome", identity)
        session = it.link.session("token")
        with pytest.raises(UnreachableError, match="wrong certificate"):
            await session.write(note("hello"))
    tls = authority.issue(["lab.example"])
    async with wire(tls=tls, certificate=authority.certificate) as it:
        with pytest.raises(UnreachableError, match="wrong certificate"):
            await it.link.join("welcome", identity)
        assert it.hub.asked == []


async def test_with_mutual_tls_only_clients_with_a_certificate_get_through(
    wire, tmp_path, identity
):
    authority = Authority.create(tmp_path / "ca", "lab")
    strangers = Authority.create(tmp_path / "other", "strangers")
    mutual = {"tls": authority.issue(["127.0.0.1"]), "client_ca": authority.certificate}
    own = authority.issue_client("anna")
    async with wire(**mutual, certificate=authority.certificate, own=own) as it:
        assert await it.link.join("welcome", identity) == ("anna", "lab-1")
        for bad in (None, strangers.issue_client("anna")):
            link = it.other_link(certificate=authority.certificate, own=bad)
            with pytest.raises(
                UnreachableError, match=r"cannot reach the coordinator at|wrong certificate"
            ):
                await link.join("welcome", identity)
            await link.close()
        assert len(it.hub.asked) == 1


async def test_nobody_at_an_address_is_unreachable_there(wire, identity, work):
    async with wire() as it:
        address = it.address
    link = Link(address)
    for attempt in (
        link.join("welcome", identity),
        link.session("token").write(note("hello")),
        link.send("token", work, [0], lambda places: b"x"),
        fetched(link, "token", b"d", [0]),
    ):
        with pytest.raises(UnreachableError, match=f"cannot reach the coordinator at {address}"):
            await attempt
    await link.close()


async def joined(link, identity, patience_s):
    """For how long a client had to try, in seconds."""
    began = time.monotonic()
    while time.monotonic() - began < patience_s:
        with contextlib.suppress(UnreachableError):
            await link.join("welcome", identity)
            break
        await asyncio.sleep(0.05)
    return time.monotonic() - began


async def test_a_link_finds_a_coordinator_that_comes_back_soon(wire, identity):
    async with wire() as it:
        await it.link.join("welcome", identity)
        await it.server.stop(0)
        assert await joined(it.link, identity, patience_s=3.0) > 3.0
        await it.server.start("127.0.0.1", it.port)
        assert await joined(it.link, identity, patience_s=3.0) < 1.5


async def test_a_server_stops_within_its_grace_while_sessions_and_uploads_are_open(
    wire, hello, work, sink_of
):
    async with wire() as it:
        sessions = [it.link.session(it.hub.token(name)) for name in ("anna", "ben")]
        for session in sessions:
            await session.write(hello)
            await anext(aiter(session))
        it.hub.next_sink = sink = sink_of(hold=asyncio.Event())
        sending = asyncio.create_task(
            it.link.send(it.hub.token("cleo"), work, [0], lambda places: b"x")
        )
        await soon(lambda: it.hub.sinks)
        began = time.monotonic()
        await it.server.stop(0.3)
        assert time.monotonic() - began < 1.0
        assert sorted(it.hub.ended) == ["anna", "ben"]
        assert sink.closed == [False]
        for session in sessions:
            with pytest.raises(UnreachableError):
                await anext(aiter(session))
        with pytest.raises(UnreachableError):
            await sending
        again = Server(it.hub, Limits())
        assert await again.start("127.0.0.1", it.port) == it.port
        await again.stop(0)


# --- abuse ----------------------------------------------------------------------------------------


async def test_bytes_that_are_no_message_are_refused_in_words(wire):
    chance = random.Random(5)
    async with wire() as it:
        for method in METHODS:
            for _ in range(20):
                async with raw_call(it, method, token=it.hub.token()) as call:
                    await call.write(b"\xff" + chance.randbytes(chance.randrange(300)))
                    status = await refused_with(call)
                assert status.code() is grpc.StatusCode.INVALID_ARGUMENT
                assert re.match("not a |no ", status.details())
            async with raw_call(it, method, token=it.hub.token()) as call:
                with pytest.raises(IntegrityError, match=r"no \w+ came"):
                    await said(call, [])
        assert it.hub.asked == []


async def test_a_method_that_is_not_there_is_told_from_a_missing_coordinator(wire):
    async with wire() as it:
        async with raw_call(it, "Backdoor", token=it.hub.token()) as call:
            status = await refused_with(call)
        error = told(status.code(), status.details(), {}, it.address)
        assert "does not speak this protocol" in str(error)


@pytest.mark.parametrize("reason", [b"", b"null", b"[]", b'{"class":"OSError"}', b"\xff", b"7"])
def test_a_reason_that_cannot_be_read_counts_as_a_broken_connection(reason):
    status = grpc.StatusCode.UNAUTHENTICATED
    assert isinstance(told(status, "no", {REASON_KEY: reason}, "lab:1"), UnreachableError)


def test_a_refusal_fits_into_headers_whatever_its_length():
    error = IntegrityError("ä" * 100_000, hint="→" * 100_000)
    code, details, beside = refusal(error, known=True)
    assert len(details.encode()) + sum(len(value) for _, value in beside) < 4000
    assert isinstance(told(code, details, dict(beside), "lab:1"), IntegrityError)


SERVER = """
import asyncio, re, sys
from flnb.core.errors import AccessRefusedError
from flnb.transport import Limits, Server

class Hub:
    async def claims(self, token):
        raise AccessRefusedError("a token of nobody")

def peak_kb():
    return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])

async def main():
    server = Server(Hub(), Limits())
    print(await server.start("127.0.0.1", 0), flush=True)
    for _ in iter(lambda: None, 1):
        if not (await asyncio.to_thread(sys.stdin.readline)):
            break
        print(peak_kb(), flush=True)
    await server.stop(0)

asyncio.run(main())
"""


async def upload_200_mb(address, metadata):
    """How many chunks of a body get away before the call is ended."""
    async with aio.insecure_channel(address) as channel:
        call = channel.stream_unary("/flnb.v1.Federation/Send")(metadata=metadata)
        sent = 0
        with contextlib.suppress(aio.AioRpcError, asyncio.InvalidStateError):
            while sent < 200_000_000 // CHUNK_BYTES:
                await call.write(bytes(CHUNK_BYTES))
                sent += 1
        return sent


async def test_an_upload_of_200_mb_without_a_token_is_refused_before_it_is_read(work):
    server = subprocess.Popen(  # noqa: ASYNC220 - it lasts longer than the call
        [sys.executable, "-c", SERVER], cwd=ROOT, stdin=-1, stdout=-1, text=True
    )
    try:
        address = f"127.0.0.1:{int(server.stdout.readline())}"

        def peak_kb():
            server.stdin.write("\n")
            server.stdin.flush()
            return int(server.stdout.readline())

        before_kb = peak_kb()
        forged = aio.Metadata(("authorization", "Bearer a.b.c"))
        sent = [await upload_200_mb(address, metadata) for metadata in (None, forged) * 3]
        assert max(sent) < 40
        assert peak_kb() - before_kb < 16_000
        link = Link(address)
        with pytest.raises(AccessRefusedError, match="a token of nobody"):
            await link.send(
                "a.b.c", work, range(762), lambda places: bytes(CHUNK_BYTES * len(places))
            )
        await link.close()
    finally:
        server.communicate()


def test_importing_flnb_brings_no_grpc_and_no_cryptography():
    program = "import flnb, sys; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    modules = subprocess.check_output([sys.executable, "-c", program], cwd=ROOT, text=True)
    assert not {"grpc", "google", "jwt", "cryptography"} & set(modules.split())


async def test_a_path_that_is_no_text_does_not_end_the_server(wire, identity):
    """One such call ends a plain server of grpcio 1.85, without a token."""
    path = b"/flnb.v1.Federation/\xae\xff"
    headers = b"\x83\x86\x41\x01x\x04" + bytes([len(path)]) + path + b"\x5f\x10application/grpc"
    headers += b"\x40\x02te\x08trailers"
    request = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
    request += bytes([0, 0, len(headers), 1, 5, 0, 0, 0, 1]) + headers
    async with wire() as it:
        for _ in range(3):
            reader, writer = await asyncio.open_connection("127.0.0.1", it.port)
            writer.write(request)
            assert b"Method not found" in await reader.readuntil(b"found!")
            writer.close()
        assert await it.link.join("welcome", identity) == ("anna", "lab-1")


def test_connections_leave_files_for_the_lab(monkeypatch):
    asked = []
    monkeypatch.setattr("resource.setrlimit", lambda _what, bounds: asked.append(bounds))
    for hard, most in ((4096, 3584), (10**6, 20_000), (600, 88), (100, 2)):
        monkeypatch.setattr("resource.getrlimit", lambda _what, hard=hard: (64, hard))
        assert connections_at_most(Limits()) == most
        assert asked.pop() == (hard, hard)


async def test_a_database_that_does_not_answer_is_something_that_passes(wire, identity):
    async with wire() as it:
        it.hub.fault = StorageUnreachableError("postgresql://secret@db", "connection refused")
        with pytest.raises(UnreachableError, match="database does not answer") as told:
            await it.link.join("welcome", identity)
        assert "secret" not in str(told.value)
