"""Server optimisers: `(state, model, update) -> (state, model)`, pure.

Here is what the server does with the aggregated update. Settings that people write are not here
(`strategies/fedavg.py` and its neighbours). Read `sgd.py` first, then `step.py`.
"""

from flnb.strategies.server.adagrad import Adagrad
from flnb.strategies.server.adam import Adam
from flnb.strategies.server.adaptive import AdaptiveState
from flnb.strategies.server.momentum import Momentum, MomentumState
from flnb.strategies.server.sgd import SGD, SGDState
from flnb.strategies.server.yogi import Yogi

__all__ = [
    "SGD",
    "Adagrad",
    "Adam",
    "AdaptiveState",
    "Momentum",
    "MomentumState",
    "SGDState",
    "Yogi",
]
