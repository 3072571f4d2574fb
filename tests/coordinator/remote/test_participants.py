"""Remote clients as participants: whoever begins work collects that work, and nobody else's."""

import asyncio
from contextlib import asynccontextmanager

import numpy as np

from flnb.coordinator.remote.participants import RemoteClients
from flnb.coordinator.remote.patience import LoopClock
from flnb.core.ids import ClientId, RunId
from flnb.core.messages import ClientHalf, Outcome, Work
from flnb.core.plan import Local
from flnb.tensors import Layout, Model, Spool
from flnb.transport import Limits, Manifest
from flnb.transport.v1 import federation_pb2 as pb

LAYOUT = Layout.of([("w", (6,), "float32", "parameter")])
CLIENT = ClientId("a")
HALF = ClientHalf("m:f", Local(epochs=1))


class Crowd:
    """Remote clients of one layout, and the notes that they were sent."""

    def __init__(self, folder, layout=LAYOUT):
        self.base = Model(layout, np.zeros(layout.n_values, np.float32), np.zeros(0, np.int64))
        self.sent, self.spool = [], Spool(folder, 2**30)
        self.remote = RemoteClients(
            asyncio.get_running_loop(), self.hear, self.spool, Limits(), LoopClock()
        )
        self.remote.arrive(CLIENT, 5)

    def hear(self, client, note):
        kind = note.WhichOneof("note")
        verdict = kind == "verdict" and pb.Verdict.Kind.Name(note.verdict.kind).lower()
        self.sent.append((client, verdict or kind))

    async def begin(self, run, round_number=1):
        work = Work(RunId(run), 1, round_number, 0, "train", (CLIENT,), HALF, "equal")
        return await asyncio.to_thread(self.remote.begin, work, self.base)

    async def collect(self, work):
        return await asyncio.to_thread(self.remote.collect, work)

    async def offer(self, work, value):
        data = np.full(self.base.layout.n_values, value, np.float32).tobytes()
        await self.remote.offer(CLIENT, envelope(work, Manifest.of(data)), data)


@asynccontextmanager
async def crowd(folder, **options):
    made = Crowd(folder, **options)
    try:
        async with asyncio.timeout(10):
            yield made
    finally:
        await asyncio.to_thread(made.remote.close)


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
