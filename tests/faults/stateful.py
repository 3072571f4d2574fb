"""A client that remembers: `stateful.py HOME INVITE`. Each update depends on all before it."""

import sys

import numpy as np

import flnb
from flnb.tensors import Update
from flnb.training import LocalResult
from tests.e2e.remote_client import task


def main():
    home, invite = sys.argv[1:3]

    def train(version, work):
        state = client.remembered(work) or {"rounds": np.zeros(1, np.int64)}
        rounds = state["rounds"] + 1
        values = np.full(version.layout.n_values, 2.0 ** -rounds[0], np.float32)
        update = Update(version.layout, values, np.zeros_like(version.integers))
        return LocalResult(update, 1, loss=0.0, train_s=0.1, state={"rounds": rounds})

    client = flnb.Client(invite, task("softmax", 1), home=home, train=train)
    client.run()


if __name__ == "__main__":
    main()
