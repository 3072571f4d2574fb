"""Named places at which a test may stop this process, to kill it there from outside.

Between two writes that must survive a crash, the code calls `reach("after-snapshot")`. That does
nothing unless the environment variable `FLNB_FAILPOINT` names the place (`place` or `place:n` for
the n-th time). Then the process stops itself with SIGSTOP and waits for whoever runs the test to
look at it and end it with SIGKILL. `FLNB_FAILPOINT_LOG` names a file that gets a line for each
place reached: a test learns from it which places there are.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from pathlib import Path

_target, _, _count = os.environ.get("FLNB_FAILPOINT", "").partition(":")
_nth = int(_count or 1)
_log = os.environ.get("FLNB_FAILPOINT_LOG", "")
_armed = bool(_target or _log)
_seen: Counter[str] = Counter()


def reach(place: str) -> None:
    """Stop here if a test asked for it; otherwise do nothing."""
    if not _armed:
        return
    _seen[place] += 1
    if _log:
        with Path(_log).open("a", encoding="utf-8") as file:
            file.write(f"{place}\n")
    if place == _target and _seen[place] == _nth:
        # To this thread: of a signal to the process the main thread hears first, and this one would
        # go on for a moment.
        signal.raise_signal(signal.SIGSTOP)
