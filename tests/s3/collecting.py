"""Processes at one bucket: one commits, one collects what nobody names, one lets rounds of a lab go."""

import os
from datetime import timedelta
from itertools import count

import numpy as np

from flnb.coordinator.lab import Lab
from flnb.core.clock import SystemClock
from flnb.core.errors import RoundStateError
from flnb.store import History, LabStore, sweep

N_VALUES = 1000
"""Enough for a chunk that is an object of its own."""


def version(number):
    """Three arrays of one chunk; each version changes one of them and shares two with those before."""
    last = {one % 3: one for one in range(max(0, number - 2), number + 1)}
    return {f"part-{k}": np.full(N_VALUES, last.get(k, 0), np.float32) for k in range(3)}


def commit(channel, _fds):
    """Commit so many versions and tell what they are called; then, asked twice, those that fit between.

    Not more than five times as many: each makes the next sweep longer, and a sweep that is slow would
    have still more of them to look at.
    """
    place, environment, n_first = channel.recv()
    os.environ |= environment
    history, made = History(place, checked=True), {}
    for number in count():
        if number == n_first:
            channel.send(made)
            made = channel.recv()
        elif number > n_first and (number == 6 * n_first or channel.poll(0.0)):
            break
        made[number] = history.write("r", version(number), {"round": number})
    channel.recv()
    channel.send(made)


def collect(channel, _fds):
    """Collect as often as it is told which commits from before a moment are still named."""
    place, environment, moment = channel.recv()
    os.environ |= environment
    while True:
        named = channel.recv()
        channel.send(sweep(place, lambda named=named: named, moment, moment).objects)


def let_go(channel, _fds):
    """Let old rounds of a lab go, again and again until it is told to stop; a day from now all are old."""
    folder, place, environment = channel.recv()
    os.environ |= environment
    lab = Lab(LabStore(folder, LabStore.open(folder).state, place=place))
    now, freed, times = SystemClock.now, 0, 0
    while not channel.poll(0.0):
        SystemClock.now = lambda self: now(self) + timedelta(days=1)
        preview = lab.expire("otter", older_than="24h", keep="every 10th")
        SystemClock.now = now
        try:
            freed += preview.apply("disk").objects
        except RoundStateError:  # somebody named one of them in between
            continue
        times += 1
    channel.send((freed, times))
