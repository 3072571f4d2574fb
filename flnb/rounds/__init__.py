"""How rounds go: a pure machine over batches of facts.

Here is the state of a run's rounds, the facts that change it and the orders that follow. Nothing
here trains, stores or waits: that is `engines`, `store` and `coordinator`. Read `machine.py`
first, then `synchronous.py`.
"""

from flnb.rounds.facts import (
    Accept,
    Answered,
    Assign,
    Close,
    Closed,
    Draw,
    Drawn,
    Fact,
    Fail,
    Finish,
    Moved,
    Order,
    Pause,
    PauseAsked,
    Refuse,
    ResumeAsked,
    StopAsked,
    TimePassed,
)
from flnb.rounds.machine import room, start, step
from flnb.rounds.state import Buffered, CloseRule, RoundsState, Stage, Synchronous, Wave

__all__ = [
    "Accept",
    "Answered",
    "Assign",
    "Buffered",
    "Close",
    "CloseRule",
    "Closed",
    "Draw",
    "Drawn",
    "Fact",
    "Fail",
    "Finish",
    "Moved",
    "Order",
    "Pause",
    "PauseAsked",
    "Refuse",
    "ResumeAsked",
    "RoundsState",
    "Stage",
    "StopAsked",
    "Synchronous",
    "TimePassed",
    "Wave",
    "room",
    "start",
    "step",
]
