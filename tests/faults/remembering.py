"""A client with momentum of its own, in its own process: `remembering.py HOME INVITE CLIENTS`."""

import sys
import zlib
from pathlib import Path

import numpy as np

import flnb
from flnb.tensors import Update
from flnb.training import LocalResult
from flnb.transport.invite import Invite
from tests.e2e.remote_client import task


def main():
    home, invite, clients = sys.argv[1:4]
    name = Invite.parse(invite).client

    def train(version, work):
        state = client.remembered(work) or {"velocity": np.zeros_like(version.values)}
        noise = np.random.default_rng(zlib.crc32(f"{name}/{work.round}".encode()))
        step = noise.normal(0, 0.01, version.values.shape).astype(np.float32)
        velocity = np.float32(0.9) * state["velocity"] + step
        update = Update(version.layout, velocity, np.zeros_like(version.integers))
        return LocalResult(update, 1, loss=0.0, train_s=0.1, state={"velocity": velocity})

    with Path(home).with_suffix(".log").open("a", buffering=1) as log:

        def tell(event):
            log.write(f"{event.kind} {event.text}\n")

        client = flnb.Client(
            invite, task("softmax", int(clients)), home=home, train=train, on_event=tell
        )
        client.run()


if __name__ == "__main__":
    main()
