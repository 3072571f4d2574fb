"""Facts and orders in few words, for the tests of this room."""

import numpy as np

from flnb.core.messages import Outcome
from flnb.rounds import Answered


def answer(rows, outcome=Outcome.ACCEPTED, *, wave=0, stage=0, generation=1):
    """All these rows answered, with one outcome or with one for each."""
    outcomes = np.broadcast_to(np.array(outcome, dtype=np.uint8), len(rows)).copy()
    return Answered(wave, stage, np.array(rows, dtype=np.int64), outcomes, generation)


def plain(orders):
    """Orders as tuples that compare and print."""

    def value(thing):
        return thing.tolist() if isinstance(thing, np.ndarray) else thing

    return [(type(o).__name__, *(value(getattr(o, name)) for name in o.__slots__)) for o in orders]
