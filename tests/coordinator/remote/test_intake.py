"""Chunks of an update on their way into the spool: in any order, a few at a time, each checked."""

import asyncio
import os
import threading
from contextlib import closing

import numpy as np
import pytest

from flnb.coordinator.remote import intake as intake_module
from flnb.coordinator.remote.hands import Hands
from flnb.coordinator.remote.intake import Intake
from flnb.core.errors import IntegrityError, UnreachableError
from flnb.tensors import Layout, Spool, Staging
from flnb.transport import CHUNK_BYTES, Manifest

N_CHUNKS = 11
LAYOUT = Layout.of([("w", (N_CHUNKS * CHUNK_BYTES // 4 - 5,), "float32", "parameter")])
VALUES = np.arange(LAYOUT.n_values, dtype=np.float32)
MANIFEST = Manifest.of(VALUES.data)


def chunk(place):
    return VALUES.data.cast("B")[MANIFEST.span(place)].tobytes()


def with_intake(folder, scene):
    """Play a scene with an intake, and the list of what was complete."""

    async def play():
        with closing(Hands()) as hands:
            whole, spool = [], Spool(folder, 2**30)
            done = lambda _intake, file: whole.append(file)  # noqa: E731
            intake = await Intake.open(
                spool, "u", LAYOUT, {}, manifest=MANIFEST, hands=hands, complete=done
            )
            await scene(intake, whole)
            await intake.abandon()

    asyncio.run(play())


async def sent(transfer, places):
    for place in places:
        await transfer.write([place], chunk(place))


def test_chunks_in_any_order_become_the_update(tmp_path):
    async def scene(intake, whole):
        transfer = intake.transfer()
        await sent(transfer, reversed(range(N_CHUNKS)))
        await transfer.close(True)
        assert np.array_equal(whole[0].open(LAYOUT).values, VALUES)

    with_intake(tmp_path, scene)


def test_a_wrong_chunk_is_found_however_late_it_comes(tmp_path):
    async def scene(intake, whole):
        transfer = intake.transfer()
        await sent(transfer, range(N_CHUNKS - 1))
        await transfer.write([N_CHUNKS - 1], chunk(0))
        with pytest.raises(IntegrityError, match=f"chunk {N_CHUNKS - 1} is not the one"):
            await transfer.close(True)
        assert (intake.missing, whole) == ([N_CHUNKS - 1], [])

    with_intake(tmp_path, scene)


def test_most_of_an_update_is_on_the_disk_before_its_end_comes(tmp_path, monkeypatch):
    ahead, sync, commit = [], Staging.sync, Staging.commit
    monkeypatch.setattr(intake_module, "_AHEAD_BYTES", 3 * CHUNK_BYTES)

    def watched(staging):
        ahead.append(staging.unsynced_bytes)
        sync(staging)

    def last(staging):
        assert staging.unsynced_bytes <= 3 * CHUNK_BYTES
        return commit(staging)

    monkeypatch.setattr(Staging, "sync", watched)
    monkeypatch.setattr(Staging, "commit", last)

    async def scene(intake, whole):
        transfer = intake.transfer()
        for place in range(N_CHUNKS):
            await sent(transfer, [place])
            if intake._syncing is not None:
                await asyncio.wait([intake._syncing])  # as on a disk that is quicker than the line
        await transfer.close(True)
        assert len(whole) == 1

    with_intake(tmp_path, scene)
    assert 2 <= len(ahead) <= 3, "of three chunks or four"
    assert min(ahead) >= 3 * CHUNK_BYTES


def test_the_end_of_an_update_waits_for_no_part_of_another(tmp_path, monkeypatch):
    monkeypatch.setattr(intake_module, "_AHEAD_BYTES", CHUNK_BYTES)
    others = threading.Event()

    async def scene(intake, whole):
        busy = intake.hands.ahead.submit(others.wait, 20)
        try:
            transfer = intake.transfer()
            await sent(transfer, range(N_CHUNKS))
            await transfer.close(True)
            assert (len(whole), busy.done()) == (1, False)
        finally:
            others.set()

    with_intake(tmp_path, scene)


def test_what_came_before_a_connection_broke_is_not_asked_for_again(tmp_path):
    async def scene(intake, whole):
        first, second = intake.transfer(), intake.transfer()
        await sent(first, range(6))
        await first.close(False)
        assert intake.missing == list(range(6, N_CHUNKS))
        await sent(second, intake.missing)
        await second.close(True)
        assert len(whole) == 1

    with_intake(tmp_path, scene)


def test_a_transfer_that_is_cancelled_while_it_writes_keeps_what_it_wrote(tmp_path):
    async def scene(intake, _whole):
        transfer = intake.transfer()
        sending = asyncio.create_task(sent(transfer, range(8)))
        await asyncio.sleep(0)  # it has handed one chunk on, and has the next in its hand
        sending.cancel()
        await asyncio.wait([sending])
        await transfer.close(False)
        assert intake.missing == list(range(2, N_CHUNKS))

    with_intake(tmp_path, scene)


def test_no_more_messages_are_handed_to_the_threads_than_they_can_write(tmp_path):
    async def scene(intake, _whole):
        go_on = threading.Event()
        for _ in range(intake.hands.free._value):
            intake.hands.writing.submit(go_on.wait)
            await sent(intake.transfer(), [0])
        waiting = asyncio.create_task(sent(intake.transfer(), [1]))
        await asyncio.wait([waiting], timeout=0.1)
        assert not waiting.done()
        go_on.set()
        await asyncio.wait_for(waiting, 5)

    with_intake(tmp_path, scene)


def test_a_transfer_is_refused_in_words_while_the_coordinator_stops(tmp_path):
    async def scene():
        hands, spool = Hands(), Spool(tmp_path, 2**30)
        intake = await Intake.open(
            spool, "u", LAYOUT, {}, manifest=MANIFEST, hands=hands, complete=print
        )
        transfer = intake.transfer()
        await sent(transfer, range(N_CHUNKS - 1))
        hands.close()
        with pytest.raises(UnreachableError, match="the coordinator stops"):
            await sent(transfer, [N_CHUNKS - 1, 0])
        await transfer.close(False)  # a client that goes hears nothing, and nothing is logged
        intake._staging.abandon()

    asyncio.run(scene())


def test_an_update_that_nobody_wants_any_more_is_not_taken(tmp_path):
    async def scene(intake, whole):
        await intake.abandon()
        with pytest.raises(IntegrityError, match="nobody waits"):
            await intake.transfer().write([0], chunk(0))
        assert not whole

    with_intake(tmp_path, scene)


def test_threads_of_intakes_stand_behind_the_loop():
    def priority():
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    with closing(Hands()) as hands:
        theirs = [threads.submit(priority).result() for threads in (hands.writing, hands.syncing)]
    assert all(one > priority() or one == 19 for one in theirs)
