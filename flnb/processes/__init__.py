"""Processes of our own, and what they share: a fork server, private channels, shared memory.

Both the workers that train and the process that writes history are forked from one clean,
single-threaded server. What they do is not known here; an entry is named
(`package.module:function`). Never `multiprocessing`: it would run the user's script again in each
worker. This is the only room that pickles, and only over private pipes to its own processes. Read
`forkserver.py` first, then `channel.py`. Linux only.
"""

from flnb.processes.block import SharedBlock, padded
from flnb.processes.channel import Channel
from flnb.processes.forkserver import ForkServer, Worker
from flnb.processes.heaps import share_heaps
from flnb.processes.parcel import Parcel

__all__ = ["Channel", "ForkServer", "Parcel", "SharedBlock", "Worker", "padded", "share_heaps"]
