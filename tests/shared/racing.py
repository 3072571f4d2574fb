"""One of several processes that want to move the same head at the same time."""

from collections.abc import Sequence
from pathlib import Path

from flnb.core.errors import HeadMovedError
from flnb.processes import Channel
from flnb.store import Request, StateStore


def serve(channel: Channel, _fds: Sequence[int]) -> None:
    """Move the head of the run from where it is told it is; answers whether it was this process."""
    where, address = channel.recv()
    state = StateStore(where if "://" in str(where) else Path(where), address=address)
    channel.send("ready")
    try:
        while True:
            seen, name = channel.recv()
            try:
                state.move_head("run001", seen, None, Request(id=name, actor=name, reason=""))
            except HeadMovedError:
                channel.send(False)
            else:
                channel.send(True)
    except EOFError:
        state.close()
