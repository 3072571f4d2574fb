"""Updates on their way in: full disks and spools delay them, broken transfers end well."""

import asyncio
import gc
import threading
import weakref

import numpy as np
import pytest

from flnb.coordinator.remote.uploads import Uploads, forget_others
from flnb.coordinator.remote.work import OpenWork
from flnb.core.errors import StorageFullError
from flnb.core.ids import ClientId, RunId
from flnb.core.messages import ClientHalf, Work
from flnb.core.plan import Local
from flnb.tensors import Layout, Model, Spool, Update, staging
from flnb.transport import CHUNK_BYTES, Manifest
from flnb.transport.v1 import federation_pb2 as pb

LAYOUT = Layout.of([("w", (3 * CHUNK_BYTES // 4,), "float32", "parameter")])
VALUES = np.arange(LAYOUT.n_values, dtype=np.float32)
MANIFEST = Manifest.of(VALUES.data)
BASE = Model(LAYOUT, VALUES, np.zeros(0, np.int64))
CLIENTS = (ClientId("a"), ClientId("b"))
WORK = OpenWork(
    Work(RunId("r"), 1, 1, 0, "train", CLIENTS, ClientHalf("m:f", Local(epochs=1)), "equal"),
    BASE,
    b"d" * 32,
)


def envelope(place):
    key = WORK.rows[place].key
    return pb.Envelope(
        assignment=key.message(), base_digest=b"d" * 32, update=MANIFEST.to_message()
    )


def play(scene, folder, max_bytes=2**30):
    """Play a scene with uploads, and the list of what counted."""

    async def with_uploads():
        counted, spool = [], Spool(folder, max_bytes)
        uploads = Uploads(
            spool,
            lambda key, base, update: not counted.append(key.client),
            lambda: uploads.unread(WORK),
        )
        try:
            await asyncio.wait_for(scene(uploads, spool, counted), 20)
        finally:
            uploads.close()

    asyncio.run(with_uploads())


async def send(uploads, place, chunks):
    transfer = uploads.intake(WORK.rows[place].key).transfer()
    for chunk in chunks:
        await transfer.write([chunk], VALUES.data.cast("B")[MANIFEST.span(chunk)].tobytes())
    await transfer.close(True)


async def until(true):
    while not true():  # noqa: ASYNC110
        await asyncio.sleep(0.001)


def fail_once(monkeypatch, owner, name):
    """Let a function find the disk full the first time."""
    real, calls = getattr(owner, name), []

    def full_at_first(*arguments, **more):
        calls.append(name)
        if len(calls) == 1:
            raise StorageFullError("the spool", 0)
        return real(*arguments, **more)

    monkeypatch.setattr(owner, name, full_at_first)


def test_an_update_that_finds_the_disk_full_waits_for_room(tmp_path, monkeypatch):
    fail_once(monkeypatch, staging, "_take_room")
    monkeypatch.setattr("flnb.coordinator.remote.intake._FULL_S", 0.05)

    async def scene(uploads, spool, counted):
        await send(uploads, 0, await uploads.open(WORK, 0, envelope(0)))
        assert counted == ["a"]

    play(scene, tmp_path)


def test_an_update_that_could_not_be_synced_is_sent_again(tmp_path, monkeypatch):
    fail_once(monkeypatch, Spool, "_keep")

    async def scene(uploads, spool, counted):
        with pytest.raises(StorageFullError):
            await send(uploads, 0, await uploads.open(WORK, 0, envelope(0)))
        await send(uploads, 0, await uploads.open(WORK, 0, envelope(0)))
        assert counted == ["a"]

    play(scene, tmp_path)


def test_the_files_of_a_run_that_is_over_are_kept_for_a_while_to_be_written_over(
    tmp_path, monkeypatch
):
    monkeypatch.setattr("flnb.tensors.spare._LARGE_BYTES", 1)

    async def scene(uploads, spool, counted):
        await send(uploads, 0, await uploads.open(WORK, 0, envelope(0)))
        (used,) = (path.stat().st_ino for path in tmp_path.glob("*.update"))
        uploads.end("r")
        await until(lambda: list(tmp_path.glob("*.spare")))
        await send(uploads, 1, await uploads.open(WORK, 1, envelope(1)))
        assert [path.stat().st_ino for path in tmp_path.glob("*.update")] == [used]
        monkeypatch.setattr("flnb.coordinator.remote.uploads._SPARES_S", 0.1)
        uploads.end("r")
        await until(lambda: list(tmp_path.glob("*.spare")))
        await until(lambda: not list(tmp_path.iterdir()))

    play(scene, tmp_path)


def test_whoever_goes_while_its_update_is_synced_has_sent_it(tmp_path, monkeypatch):
    syncing, real = threading.Event(), staging.Staging.commit
    monkeypatch.setattr(staging.Staging, "commit", lambda self: syncing.set() or real(self))

    async def scene(uploads, spool, counted):
        sending = asyncio.create_task(send(uploads, 0, await uploads.open(WORK, 0, envelope(0))))
        await until(syncing.is_set)
        sending.cancel()
        await until(lambda: counted)

    play(scene, tmp_path)


def test_an_update_whose_transfer_broke_after_its_last_chunk_is_whole(tmp_path):
    async def scene(uploads, spool, counted):
        await uploads.open(WORK, 0, envelope(0))
        await uploads.intake(WORK.rows[0].key).take(range(3), VALUES.tobytes())
        assert await uploads.open(WORK, 0, envelope(0)) == []
        assert counted == ["a"]

    play(scene, tmp_path)


def test_a_full_spool_delays_an_update_until_another_is_gone(tmp_path, caplog):
    async def scene(uploads, spool, counted):
        await send(uploads, 0, await uploads.open(WORK, 0, envelope(0)))
        second = asyncio.create_task(uploads.open(WORK, 1, envelope(1)))
        await asyncio.sleep(0.3)
        assert not second.done()
        assert caplog.text.count("waits until there is room: the spool is full") == 1
        uploads.drop(WORK.rows[0].key)
        await send(uploads, 1, await second)
        assert counted == ["a", "b"]

    play(scene, tmp_path, max_bytes=4 * LAYOUT.n_values + 4096)


def test_room_that_was_made_for_somebody_who_went_is_given_back(tmp_path):
    async def scene(uploads, spool, counted):
        for _ in range(20):
            opening = asyncio.create_task(uploads.open(WORK, 0, envelope(0)))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            opening.cancel()
            await asyncio.gather(opening, return_exceptions=True)
        await send(uploads, 1, await uploads.open(WORK, 1, envelope(1)))
        assert counted == ["b"]

    play(scene, tmp_path, max_bytes=4 * LAYOUT.n_values + 4096)


def test_what_was_staged_for_runs_that_do_not_go_on_is_removed(tmp_path):
    spool = Spool(tmp_path, 2**30)
    for run in ("going", "ended"):
        spool.stage(f"{run}/1/1/0/train/a", Update(LAYOUT, VALUES, np.zeros(0, np.int64)))
    forget_others(spool, {"going"})
    assert [file.update_id for file in spool.files] == ["going/1/1/0/train/a"]


def test_work_that_is_over_is_gone_at_once_with_its_base(tmp_path):
    async def received(work):
        uploads = Uploads(
            Spool(tmp_path, 2**30), lambda key, base, update: work.receive(key, update, 0.0), set
        )
        await uploads.open(work, 0, envelope(0))
        await send(uploads, 0, range(MANIFEST.chunk_count))
        assert work.rows[0].received is not None
        uploads.close()

    gc.disable()  # a cycle would stay until Python looks for cycles, which takes minutes
    try:
        work = OpenWork(WORK.work, BASE, b"d" * 32)
        asyncio.run(received(work))
        seen = weakref.ref(work)
        del work
        assert seen() is None
    finally:
        gc.enable()
