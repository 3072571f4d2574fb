"""What the allocator of the C library does with the memory of messages.

A message of a transfer takes several blocks of 1 MB on its way. Unless it is told that they are asked for
often (`keep_freed_memory`), glibc gives 2 MB back to the kernel whenever they are free, and the kernel
clears each page that it hands out again: of 64 MB that a client fetched and 64 MB that it sent, that was
two fifths of all processor time.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes

MESSAGE_BYTES = 4 * 1024 * 1024
"""As large as a block of a message can be: what glibc is told."""
_HOLES_FOR_S = 0.25
"""What is given back has to be cleared again by the kernel when it is used again."""


class Holes:
    """Memory that lies free between blocks in use, given back while a crowd of transfers passes.

    Messages of a crowd end in another order than they came, so that the top of the heap is never free:
    24 uploads left 41 MB of holes. Used on the loop of a server.

    Args:
        crowd: So many transfers at least; fewer leave little, and use it again.
    """

    def __init__(self, crowd: int) -> None:
        self._crowd, self._soon = crowd, False

    def left(self, many: int) -> None:
        """One of a crowd has ended.

        Args:
            many: How many there have been since there was none.
        """
        if many > self._crowd and not self._soon:
            self._soon = True
            asyncio.get_running_loop().call_later(_HOLES_FOR_S, self._give_back)

    def _give_back(self) -> None:
        self._soon = False
        asyncio.get_running_loop().run_in_executor(None, give_back_freed_memory)


def give_back_freed_memory() -> None:
    """Give the kernel what lies free between blocks that are in use; takes some milliseconds."""
    with contextlib.suppress(AttributeError, OSError):  # only glibc can be told
        ctypes.CDLL(None).malloc_trim(0)
