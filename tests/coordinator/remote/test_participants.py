"""Remote clients as participants: whoever begins work collects that work, and nobody else's."""

import asyncio
from contextlib import asynccontextmanager

import numpy as np

from flnb.coordinator.remote.participants import RemoteClients
from flnb.coordinator.remote.patience import LoopClock
from flnb.core.ids import ClientId, RunId
from flnb.core.messages import ClientHalf, Outcome, Work
from flnb.core.plan import Local
from flnb.tensors import Layout, Model, Spool, Update
from flnb.transport import CHUNK_BYTES, Limits, Manifest
from flnb.transport.v1 import federation_pb2 as pb

LAYOUT = Layout.of([("w", (6,), "float32", "parameter")])
LARGE = Layout.of([("w", (3 * CHUNK_BYTES // 4,), "float32", "parameter")])
CLIENT = ClientId("a")
HALF = ClientHalf("m:f", Local(epochs=1))


class Crowd:
    """Remote clients of one layout, and the notes that they were sent."""

    def __init__(self, folder, layout=LAYOUT, spool_bytes=2**30):
        self.base = Model(layout, np.zeros(layout.n_values, np.float32), np.zeros(0, np.int64))
        self.sent, self.spool = [], Spool(folder, spool_bytes)
        self.remote = RemoteClients(
            asyncio.get_running_loop(), self.hear, self.spool, Limits(), LoopClock()
        )
        self.remote.arrive(CLIENT, 5)

    def hear(self, client, note):
        note = pb.CoordinatorNote.FromString(note.SerializeToString())
        kind = note.WhichOneof("note")
        verdict = kind == "verdict" and pb.Verdict.Kind.Name(note.verdict.kind).lower()
        self.sent.append((client, verdict or kind))

    async def begin(self, run, round_number=1):
        """Begin work; the same run and round is the same work, begun again."""
        work = Work(RunId(run), 1, round_number, 0, "train", (CLIENT,), HALF, "equal")
        return await asyncio.to_thread(self.remote.begin, work, self.base)

    async def collect(self, work):
        return await asyncio.to_thread(self.remote.collect, work)

    async def offer(self, work, value):
        data = np.full(self.base.layout.n_values, value, np.float32).tobytes()
        inline = data if len(data) <= CHUNK_BYTES else b""
        await self.remote.offer(CLIENT, envelope(work, Manifest.of(data)), inline)

    async def upload(self, work, value):
        """Offer a large update and send every chunk."""
        await self.offer(work, value)
        await self.send(work, value)

    async def send(self, work, value):
        data = np.full(self.base.layout.n_values, value, np.float32).tobytes()
        transfer, manifest = self.remote.intake(CLIENT, work.rows[0].key), Manifest.of(data)
        for place in range(manifest.chunk_count):
            await transfer.write([place], data[manifest.span(place)])
        await transfer.close(True)


@asynccontextmanager
async def crowd(folder, **options):
    made = Crowd(folder, **options)
    try:
        async with asyncio.timeout(10):
            yield made
    finally:
        await asyncio.to_thread(made.remote.close)


async def until(true):
    while not true():  # noqa: ASYNC110
        await asyncio.sleep(0.001)


def envelope(work, manifest):
    return pb.Envelope(
        assignment=work.rows[0].key.message(),
        base_digest=work.base_digest,
        update=manifest.to_message(),
        n_examples=5,
    )


def test_a_collect_whose_work_was_replaced_ends_and_takes_nothing_of_the_other(tmp_path):
    async def scene():
        async with crowd(tmp_path) as people:
            first = await people.begin("first")
            collecting = asyncio.create_task(people.collect(first))
            second = await people.begin("second")
            await people.offer(second, 1.0)
            assert await collecting is None
            assert await people.collect(first) is None
            report = await people.collect(second)
            assert report.outcome.tolist() == [Outcome.ACCEPTED]

    asyncio.run(scene())


def test_cancelling_the_work_of_one_leaves_that_of_another_open(tmp_path):
    async def scene():
        async with crowd(tmp_path) as people:
            first, second = await people.begin("first"), await people.begin("second")
            people.remote.cancel(first)
            collecting = asyncio.create_task(people.collect(second))
            await people.offer(second, 1.0)
            assert (await collecting).outcome.tolist() == [Outcome.ACCEPTED]

    asyncio.run(scene())


def test_of_a_run_that_ended_nothing_is_waited_for_and_nothing_is_kept(tmp_path):
    async def scene():
        async with crowd(tmp_path, layout=LARGE) as people:
            work = await people.begin("stopped")
            await people.upload(work, 1.0)
            assert people.spool.files
            people.sent.clear()
            people.remote.ended("other")
            assert not people.sent
            people.remote.ended("stopped")
            await until(lambda: not people.spool.files)
            await people.offer(work, 1.0)  # whoever knows of runs that are over says so
            assert people.sent == [(CLIENT, "withdrawn"), (CLIENT, "settled")]

    asyncio.run(scene())


async def received(people, work):
    """The values of the one update of some work."""
    assert (await people.collect(work)).outcome.tolist() == [Outcome.ACCEPTED]
    return set(work.rows[0].received.open().values)


def test_an_update_that_counted_counts_again_when_its_round_is_done_again(tmp_path):
    async def scene():
        async with crowd(tmp_path, layout=LARGE) as people:
            first = await people.begin("run")
            await people.upload(first, 1.0)
            await people.collect(first)
            again = await people.begin("run")
            assert await received(people, again) == {1.0}
            assert [file.update_id for file in people.spool.files] == ["run/1/1/0/train/a"]

    asyncio.run(scene())


def test_an_update_of_a_round_after_those_that_are_done_again_counts_when_its_turn_comes(tmp_path):
    async def scene():
        async with crowd(tmp_path, layout=LARGE) as people:
            await people.upload(first := await people.begin("run", 2), 1.0)
            await people.collect(first)
            await people.begin("run", 1)  # the version that it led to had not been saved
            again = await people.begin("run", 2)
            assert await received(people, again) == {1.0}

    asyncio.run(scene())


def test_an_update_stays_in_the_spool_until_its_round_is_in_a_commit(tmp_path):
    async def scene():
        async with crowd(tmp_path, layout=LARGE) as people:
            await people.upload(first := await people.begin("run", 1), 1.0)
            await people.collect(first)
            await people.begin("run", 2)  # while round 1 is being written
            people.remote._uploads._hands.writing.submit(int).result()
            assert [file.update_id for file in people.spool.files] == ["run/1/1/0/train/a"]
            people.remote.committed("run", 1)
            await until(lambda: not people.spool.files)

    asyncio.run(scene())


def test_an_update_of_a_later_round_makes_room_for_one_that_is_wanted_now(tmp_path):
    async def scene():
        async with crowd(tmp_path, layout=LARGE, spool_bytes=LARGE.n_values * 4 + 4096) as people:
            await people.upload(await people.begin("run", 2), 1.0)
            now = await people.begin("run", 1)
            await people.upload(now, 2.0)
            assert await received(people, now) == {2.0}

    asyncio.run(scene())


def test_an_update_from_another_version_is_asked_for_again(tmp_path):
    async def scene():
        async with crowd(tmp_path, layout=LARGE) as people:
            await people.upload(first := await people.begin("run", 2), 1.0)
            await people.collect(first)
            await people.begin("run", 1)  # both rounds are done again, by a plan that was changed
            people.base = Model(LARGE, np.ones(LARGE.n_values, np.float32), np.zeros(0, np.int64))
            other = await people.begin("run", 2)
            await people.upload(other, 2.0)
            assert await received(people, other) == {2.0}

    asyncio.run(scene())


def test_of_two_updates_that_wait_for_room_the_first_counts_and_both_are_named(tmp_path):
    async def scene():
        async with crowd(tmp_path, layout=LARGE, spool_bytes=LARGE.n_values * 4 + 4096) as people:
            people.spool.stage("other/1", Update(LARGE, people.base.values, people.base.integers))
            people.remote._uploads._unread = lambda: {"other/1"}
            work = await people.begin("run")
            offers = [asyncio.create_task(people.offer(work, value)) for value in (1.0, 2.0)]
            await asyncio.sleep(0)
            people.spool.delete("other/1")
            await until(lambda: (CLIENT, "wanted") in people.sent)
            await people.send(work, 1.0)
            people.spool.max_bytes *= 2
            await asyncio.gather(*offers)
            assert await received(people, work) == {1.0}
            assert "was received first, then" in people.remote.notable.remarks[CLIENT]

    asyncio.run(scene())
