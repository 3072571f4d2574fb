"""A task whose clients take their time, for whoever measures pages: a coordinator makes it by its name."""

from __future__ import annotations

import time
from functools import partial

import torch
from torch import nn

import flnb
from flnb import datasets


class _Slow(nn.Linear):
    """A layer that takes a while for each step of training, and no processor."""

    pause_s = 0.0

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        if self.training:
            time.sleep(self.pause_s)
        return super().forward(inputs)


def _model(pause_s: float) -> nn.Module:
    slow = _Slow(64, 10)
    slow.pause_s = pause_s
    return nn.Sequential(nn.Flatten(), slow)


@flnb.tasks.importable
def digits(clients: int, pause_s: float) -> flnb.Task:
    """The digits, spread evenly.

    Args:
        clients: Over how many clients.
        pause_s: How much longer each of their steps takes.
    """
    return flnb.Task(
        model=partial(_model, pause_s),
        data=datasets.load_digits_data(),
        split=flnb.IID(clients=clients, seed=0),
        name="digits-slow",
    )
