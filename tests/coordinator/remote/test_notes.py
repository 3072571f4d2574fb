"""What thousands hear alike is in memory once, and each reads it as one message of its own."""

import numpy as np

from flnb.coordinator.remote import notes
from flnb.coordinator.remote.work import Key
from flnb.core.ids import RunId
from flnb.core.messages import ClientHalf, Work
from flnb.core.plan import Local
from flnb.transport import Manifest, Package
from flnb.transport.v1 import federation_pb2 as pb

HALF = ClientHalf("m:f", Local(epochs=1))
WORK = Work(RunId("r"), 7, 3, 0, "train", ("a", "b"), HALF, "equal", generation=2)


def test_each_client_reads_all_of_its_assignment_and_the_base_is_in_memory_once():
    data = np.arange(6, dtype=np.float32).tobytes()
    shared = notes.shared_by_all(WORK, Package(data, Manifest.of(data)))
    for client in WORK.clients:
        handed_out = notes.assignment(Key("r", 2, 3, 0, "train", client), shared)
        assert handed_out.shared is shared
        read = pb.CoordinatorNote.FromString(handed_out.SerializeToString()).assignment
        assert (read.id.client, read.id.run, read.id.round) == (client, "r", 3)
        assert (read.inline, read.seed, read.entry) == (data, 7, "m:f")
        assert Manifest.from_message(read.base).digest == Manifest.of(data).digest
