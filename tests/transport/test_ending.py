"""How calls end at the coordinator while something is still being said to whoever called."""

import asyncio
import gc

import pytest
from grpc import aio

from flnb.core.errors import FLBaseError, IntegrityError
from flnb.transport.call import Call
from flnb.transport.limits import Limits
from flnb.transport.v1 import federation_pb2 as pb

NOTE = pb.CoordinatorNote(verdict=pb.Verdict(reason="so far"))


def breaking_off(end):
    """A session whose first note is given up while gRPC has it, and that ends then."""

    async def session(_claims, _notes, send):
        saying = asyncio.create_task(send(NOTE))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        saying.cancel()
        if end is not None:
            raise end

    return session


async def heard(link, token, hello):
    """What a client hears of its session, within a second."""
    session = link.session(token)
    async with asyncio.timeout(1):
        await session.write(hello)
        return [note async for note in session]


async def test_whoever_is_refused_while_a_first_note_is_on_its_way_hears_why(wire, hello):
    async with wire() as it:
        it.hub.session = breaking_off(IntegrityError("this is no note"))
        with pytest.raises(IntegrityError, match="this is no note"):
            await heard(it.link, it.hub.token(), hello)


async def test_a_failure_while_a_first_note_is_on_its_way_is_heard_of(wire, hello):
    async with wire() as it:
        it.hub.session = breaking_off(ZeroDivisionError())
        with pytest.raises(FLBaseError, match="the coordinator failed at this"):
            await heard(it.link, it.hub.token(), hello)


async def test_a_session_that_ends_while_a_first_note_is_on_its_way_is_over(wire, hello):
    async with wire() as it:
        it.hub.session = breaking_off(None)
        assert await heard(it.link, it.hub.token(), hello) in ([], [NOTE])


class Gone:
    """What gRPC hands over of a caller who leaves while something is said to it."""

    async def write(self, _raw):
        await asyncio.sleep(0.01)
        raise aio.UsageError("the call is over")


async def test_that_nobody_waits_for_a_first_note_that_failed_is_no_complaint(caplog):
    saying = asyncio.create_task(Call(Gone(), Limits()).write_raw(b"x"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    saying.cancel()
    await asyncio.wait([saying])
    del saying
    await asyncio.sleep(0.05)
    gc.collect()
    assert caplog.records == []
