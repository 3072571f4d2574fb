"""For whom something is done: whoever owns this process, or who asked through a connection."""

from __future__ import annotations

import getpass
import secrets
from contextvars import ContextVar

from flnb.store import Request

ACTOR: ContextVar[str] = ContextVar("flnb_actor", default="")
"""For whom something is done; empty is whoever owns this process."""


def actor() -> str:
    """Who is named in the operations log."""
    return ACTOR.get() or getpass.getuser()


def request(reason: str, id_: str = "") -> Request:
    """Ask in the name of whoever acts.

    Args:
        reason: Why; kept in the operations log.
        id_: Of a request that may have been made before; a fresh one if empty.
    """
    return Request(id=id_ or secrets.token_hex(8), actor=actor(), reason=reason)
