"""What the allocator of the C library does with the memory of messages.

A message of a transfer takes several blocks of 1 MB on its way. glibc gives the top of its heap
back to the kernel whenever 2 MB of it are free, and the kernel clears each page that it hands out
again: of 64 MB that a client fetched and 64 MB that it sent, that was two fifths of all processor
time.
"""

from __future__ import annotations

import contextlib
import ctypes

_FREED_BYTES = 4 * 1024 * 1024
"""Of a block that glibc got from the kernel for itself alone. When it is freed, glibc takes it for
a size that is asked for often: from then on it keeps up to twice as much of each heap, and no more."""


def keep_freed_memory() -> None:
    """Let memory of messages be used again rather than be given back; costs nothing to say again.

    Nothing changes where another allocator is used, or one that was told what to do.
    """
    bytes(_FREED_BYTES)


def give_back_freed_memory() -> None:
    """Give the kernel what lies free between blocks that are in use; takes some milliseconds.

    Messages of a crowd end in another order than they came, so that the top of the heap is never free:
    24 uploads left 41 MB of holes.
    """
    with contextlib.suppress(AttributeError, OSError):  # only glibc can be told
        ctypes.CDLL(None).malloc_trim(0)
