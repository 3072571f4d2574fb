"""Large files on their way to the disk while the rest of them is still being written.

Whoever waits for a file at its end would wait for all of it: the kernel writes nothing by itself
for seconds.
"""

from __future__ import annotations

import os

SOONER_BYTES = 8 * 1024 * 1024
"""So much at a time is worth a call."""


def begin_writing(handle: int, start: int, n_bytes: int) -> None:
    """Let a part of a file begin its way to the disk; does nothing where that cannot be said.

    Args:
        handle: Of the open file.
        start: Where the part begins.
        n_bytes: Its length.
    """
    if hasattr(os, "posix_fadvise"):
        # The advice to drop these pages writes those that are not on the disk, and keeps them.
        os.posix_fadvise(handle, start, n_bytes, os.POSIX_FADV_DONTNEED)
