"""Local training: what a client does with the version it received.

Here is the one training loop of flnb, and measuring a version. Not here: who is invited and how
work reaches a process (`flnb.engines`), and what happens to the update (`flnb.strategies`,
`flnb.aggregation`). Read `local.py` first, then `resident.py` and `descent.py`.
"""

from flnb.training.blame import user_traceback
from flnb.training.evaluate import combine_blocks, evaluate_block, evaluate_client
from flnb.training.halves import find_training
from flnb.training.local import LocalResult, LocalTraining, local_sgd
from flnb.training.resident import Resident

__all__ = [
    "LocalResult",
    "LocalTraining",
    "Resident",
    "combine_blocks",
    "evaluate_block",
    "evaluate_client",
    "find_training",
    "local_sgd",
    "user_traceback",
]
