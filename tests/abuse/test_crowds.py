"""Crowds of connections that want no good: whoever has a session goes on as before.

The crowd lives in processes of its own. In full size it has 10,000 connections of four kinds.
"""

import asyncio
import contextlib
import subprocess
import sys
import time
from pathlib import Path

import pytest

from flnb.core.errors import UnreachableError
from tests.abuse.served import honest, p95, pings, service

CROWD = Path(__file__).with_name("crowd.py")
KINDS = ["silent", "trickle", "idle", "slow"]
GROWTH_MB, PING_MS, RECOVERY_S = 256, 200, 10.0


@contextlib.asynccontextmanager
async def crowd(port, n, kinds):
    """Processes that keep so many connections up, evenly of some kinds."""
    people = [
        subprocess.Popen(  # noqa: ASYNC220 - they outlive the call
            [sys.executable, str(CROWD), str(port), str(n // len(kinds)), kind],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for kind in kinds
    ]
    try:
        yield [int(await asyncio.to_thread(one.stdout.readline)) for one in people]
    finally:
        for one in people:
            one.kill()
            one.communicate()


async def welcome_again(where, within_s):
    """Join and open a session as soon as there is room."""
    ends = time.monotonic() + within_s
    for number in range(10**6):
        try:
            async with honest(where, f"newcomer-{number}") as client:
                return await client.ping_s()
        except UnreachableError:
            assert time.monotonic() < ends, "nobody new gets in"
            await asyncio.sleep(0.2)
    raise AssertionError


async def stay_in_a_crowd(where, n, seconds):
    """Be an honest client in a crowd: 95 % of its pings, and what the coordinator grew by."""
    async with honest(where, f"in a crowd of {n}".replace(" ", "-")) as client:
        await pings(client, 1.0)
        before_mb = where.rss_mb()
        async with crowd(where.port, n, KINDS) as came:
            assert sum(came) > 0.9 * n
            taken = await pings(client, seconds)
            grown_mb = where.rss_mb() - before_mb
        assert await welcome_again(where, RECOVERY_S) < 1.0
    print(f"{n} connections: p95 {p95(taken):.1f} ms, grew {grown_mb:.0f} MB")
    assert p95(taken) <= PING_MS
    assert grown_mb <= GROWTH_MB


async def test_whoever_has_a_session_is_served_in_a_crowd(served):
    await stay_in_a_crowd(served, 500, seconds=2.0)


@pytest.mark.long
@pytest.mark.timeout(300)
async def test_whoever_has_a_session_is_served_among_ten_thousand(tmp_path, interpreters):
    with service(interpreters, tmp_path) as where:
        await stay_in_a_crowd(where, 10_000, seconds=20.0)


async def test_calls_that_say_nothing_do_not_keep_others_from_signing_in(served):
    """Far more than are read at once: the oldest of them make room."""
    async with honest(served, "patient") as client, crowd(served.port, 200, ["slow"]):
        for _ in range(20):
            began_s = time.monotonic()
            await client.sign_in()
            assert time.monotonic() - began_s < 2.0
