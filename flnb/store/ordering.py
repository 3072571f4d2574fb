"""Commits in the order of time, although the clocks of two machines never agree.

Icechunk refuses a commit that would be older than the one it stands on, each by the clock of the
machine that wrote it. Who takes a lab over from a machine whose clock is ahead meets that at once.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from flnb.core.errors import ClockBehindError

if TYPE_CHECKING:
    from icechunk import Session

LONGEST_WAIT_S = 20.0
"""Less than others wait for a folder that is locked meanwhile."""
_MARGIN_S = 0.001
_OLDER = re.compile(r"snapshot timestamp ordering. parent: `(.+?) UTC`, child: `(.+?) UTC`")


def commit_in_order(session: Session, message: str, meta: Mapping[str, Any]) -> str:
    """Commit, and let a clock that is a little behind catch up; returns the snapshot.

    Args:
        session: What is committed.
        message: Of the commit.
        meta: Its facts.

    Raises:
        ClockBehindError: It is further behind, or the other one is ahead.
    """
    import icechunk

    while True:
        try:
            return session.commit(message, metadata=dict(meta))
        except icechunk.IcechunkError as error:
            if (found := _OLDER.search(str(error))) is None:
                raise
            before, here = (datetime.fromisoformat(f"{text}+00:00") for text in found.groups())
            wait_s = (before - here).total_seconds()
            if wait_s > LONGEST_WAIT_S:
                raise ClockBehindError(before, here) from error
        time.sleep(wait_s + _MARGIN_S)
