"""What a client tells the people where it runs."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

log = logging.getLogger(__name__)

Kind = Literal[
    "joined",
    "connected",
    "waiting",
    "training",
    "sent",
    "received",
    "settled",
    "refused",
    "failed",
    "withdrawn",
    "reconnecting",
    "rotated",
    "ended",
]


@dataclass(frozen=True, slots=True)
class ClientEvent:
    """One thing that happened at a client."""

    kind: Kind
    text: str
    """The whole of it in one sentence, for a line on a screen."""
    run: str = ""
    round: int = 0
    """0 when it is about no round."""
    seconds: float = 0.0
    """How long the training took, or how long until the next try."""
    n_bytes: int = 0
    """What was sent."""


Tell = Callable[[ClientEvent], None]


def teller(listener: Tell | None) -> Tell:
    """Make a function that tells a listener, whose own errors must not stop a client."""

    def tell(event: ClientEvent) -> None:
        log.info("%s", event.text)
        if listener is None:
            return
        try:
            listener(event)
        except Exception:  # somebody else's code, on the loop that keeps the session alive
            log.exception("a listener failed on %r", event)

    return tell
