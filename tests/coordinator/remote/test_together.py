"""Simulated and remote clients as one population: who is asked."""

from types import SimpleNamespace

import numpy as np

from flnb.coordinator.remote.together import Together
from flnb.core.ids import ClientId, RunId
from flnb.core.messages import ClientHalf, Work
from flnb.core.plan import Local
from flnb.tensors import Layout, Model

LAYOUT = Layout.of([("w", (4,), "float32", "parameter")])
BASE = Model(LAYOUT, np.zeros(LAYOUT.n_values, np.float32), np.zeros(0, np.int64))


def work_of(*clients):
    half = ClientHalf("m:f", Local(epochs=1))
    return Work(RunId("r"), 1, 1, 0, "train", tuple(map(ClientId, clients)), half, "equal")


def test_simulated_clients_hear_of_work_that_is_theirs_and_of_its_end():
    heard = []
    simulated = SimpleNamespace(
        clients={ClientId("here"): 1}, begin=lambda work, model: heard.append(work.clients)
    )
    remote = SimpleNamespace(clients={}, begin=lambda work, model: None)
    both = Together(simulated, remote, with_simulated=True)
    for clients in (["there"], ["there", "here"], ["there"], ["there"]):
        both.begin(work_of(*clients), BASE)
    assert heard == [("here",), ()], "a version of which nobody trains is not copied for them"
