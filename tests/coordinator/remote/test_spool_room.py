"""Large updates and their files: what makes room for others, and what becomes of those that fail late."""

import asyncio
import errno
import threading
import time

from flnb.core.errors import StorageFullError
from flnb.tensors import Layout, Spool, Update, staging
from tests.coordinator.remote.test_participants import CLIENT, LARGE, crowd, received, until

ROOM = LARGE.n_values * 4 + 4096
"""For one update."""


def test_an_update_that_was_added_up_makes_room_for_one_that_is_wanted_now(tmp_path):
    async def scene():
        async with crowd(tmp_path, layout=LARGE, spool_bytes=ROOM) as people:
            await people.upload(first := await people.begin("run", 1), 1.0)
            await people.collect(first)
            second = await people.begin("run", 2)  # no commit has come between them
            await people.upload(second, 2.0)
            assert await received(people, second) == {2.0}
            people.sent.clear()
            people.remote.committed("run", 1)
            assert people.sent == [(CLIENT, "settled")]

    asyncio.run(scene())


def test_an_update_that_nobody_has_read_makes_no_room(tmp_path):
    async def scene():
        async with crowd(tmp_path, layout=LARGE, spool_bytes=ROOM) as people:
            await people.upload(work := await people.begin("run", 1), 1.0)
            uploads = people.remote._uploads
            uploads._make_room(work, work.rows[0].key, {})
            assert await received(people, work) == {1.0}

    asyncio.run(scene())


def test_what_a_run_left_that_nobody_carries_on_makes_room_for_another(tmp_path):
    async def scene():
        async with crowd(tmp_path, layout=LARGE, spool_bytes=ROOM) as people:
            await people.upload(await people.begin("old"), 1.0)
        async with crowd(tmp_path, layout=LARGE, spool_bytes=ROOM) as people:
            await people.upload(now := await people.begin("new"), 2.0)
            assert await received(people, now) == {2.0}

    asyncio.run(scene())


def test_however_many_wait_for_room_it_is_looked_for_ten_times_a_second(tmp_path, monkeypatch):
    looked, real = [], Spool.files.fget
    monkeypatch.setattr(Spool, "files", property(lambda self: looked.append(1) or real(self)))

    async def scene():
        async with crowd(tmp_path, layout=LARGE, spool_bytes=ROOM) as people:
            people.spool.stage("other/1", Update(LARGE, people.base.values, people.base.integers))
            people.remote._uploads._unread = lambda: {"other/1"}
            work = await people.begin("run")
            looked.clear()
            offers = [asyncio.create_task(people.offer(work, 1.0)) for _ in range(50)]
            await asyncio.wait(offers, timeout=0.5)
            assert 2 <= len(looked) <= 25, "each of fifty would look five times"
            for one in offers:
                one.cancel()

    asyncio.run(scene())


def held_commits(monkeypatch, fail=None):
    """Let commits wait until the event that is returned is set; the first one may fail then."""
    go, real, calls = threading.Event(), staging.Staging.commit, []

    def commit(self):
        calls.append(go.wait(5))
        if fail is not None and len(calls) == 1:
            self.abandon()
            raise fail
        return real(self)

    monkeypatch.setattr(staging.Staging, "commit", commit)
    return go


def test_work_that_begins_anew_just_as_its_update_is_whole_keeps_it(tmp_path, monkeypatch):
    go = held_commits(monkeypatch)

    async def scene():
        async with crowd(tmp_path, layout=LARGE) as people:
            await people.offer(first := await people.begin("run"), 1.0)
            sending = asyncio.create_task(people.send(first, 1.0))
            await asyncio.sleep(0.2)
            again = []

            def begin():
                again.append(people.remote.begin(first.work, people.base))

            threading.Thread(target=begin).start()
            time.sleep(0.1)  # noqa: ASYNC251 - this loop is busy: what comes for it waits
            go.set()
            time.sleep(0.2)  # noqa: ASYNC251
            await sending
            await until(lambda: again)
            assert await received(people, again[0]) == {1.0}
            assert (CLIENT, "refused") not in people.sent

    asyncio.run(scene())


def test_whoever_offered_again_is_asked_for_everything_when_the_disk_fails_after_all(
    tmp_path, monkeypatch
):
    go = held_commits(monkeypatch, StorageFullError("the spool", 0))

    async def scene():
        async with crowd(tmp_path, layout=LARGE) as people:
            await people.offer(work := await people.begin("run"), 1.0)
            sending = asyncio.create_task(people.send(work, 1.0))
            await asyncio.sleep(0.2)
            sending.cancel()  # the line breaks
            people.sent.clear()
            offering = asyncio.create_task(people.offer(work, 1.0))
            await asyncio.sleep(0.1)
            go.set()
            await offering
            assert people.sent == [(CLIENT, "wanted")]
            await people.send(work, 1.0)
            assert await received(people, work) == {1.0}

    asyncio.run(scene())


def test_an_offer_for_which_no_file_can_be_made_waits(tmp_path, monkeypatch):
    monkeypatch.setattr("flnb.coordinator.remote.intake._FULL_S", 0.05)
    real, errors = Spool.receive, [OSError(errno.EMFILE, "Too many open files")]

    def receive(self, *arguments):
        if errors:
            raise errors.pop()
        return real(self, *arguments)

    monkeypatch.setattr(Spool, "receive", receive)

    async def scene():
        async with crowd(tmp_path, layout=LARGE) as people:
            await people.upload(work := await people.begin("run"), 1.0)
            assert await received(people, work) == {1.0}

    asyncio.run(scene())


def test_room_of_a_second_offer_is_given_back_though_its_client_goes(tmp_path):
    async def scene():
        async with crowd(tmp_path, layout=LARGE) as people:
            work, go = await people.begin("run"), threading.Event()
            syncing = people.remote._uploads._hands.syncing
            _slow = [syncing.submit(go.wait, 5) for _ in range(2)]
            offers = [asyncio.create_task(people.offer(work, 1.0)) for _ in range(2)]
            await until(lambda: any(one.done() for one in offers))
            await asyncio.sleep(0.1)
            for one in offers:
                one.cancel()
            await asyncio.sleep(0)
            go.set()
            people.remote.ended("run")
            await until(lambda: not people.spool._reserved_bytes)

    asyncio.run(scene())


def test_room_is_made_where_what_is_kept_with_an_update_is_all_that_lacks_it(tmp_path):
    async def scene():
        async with crowd(tmp_path / "one", layout=LARGE) as people:
            await people.upload(await people.begin("run", 1), 1.0)
            n_bytes = people.spool.used_bytes
        async with crowd(tmp_path / "two", layout=LARGE, spool_bytes=2 * n_bytes - 64) as people:
            await people.upload(first := await people.begin("run", 1), 1.0)
            await people.collect(first)
            second = await people.begin("run", 2)
            async with asyncio.timeout(5):
                await people.upload(second, 2.0)
            assert await received(people, second) == {2.0}

    asyncio.run(scene())


def test_a_file_that_goes_while_room_is_made_ends_no_offer(tmp_path, monkeypatch):
    half = Layout.of([("w", (LARGE.n_values // 2,), "float32", "parameter")])
    real = Spool.files.fget

    def files(self):
        found = real(self)
        if "other/1" in self._files:
            self.delete("other/1")  # as a thread does after a commit, between two steps of the loop
        return found

    async def scene():
        async with crowd(tmp_path, layout=LARGE, spool_bytes=ROOM) as people:
            values = people.base.values[: half.n_values]
            for name in ("other/1", "other/2"):
                people.spool.stage(name, Update(half, values, people.base.integers))
            work = await people.begin("run")
            monkeypatch.setattr(Spool, "files", property(files))
            await people.upload(work, 2.0)
            assert await received(people, work) == {2.0}

    asyncio.run(scene())
