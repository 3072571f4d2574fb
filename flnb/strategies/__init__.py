"""Named algorithms, put together from a client half, a rule and a server optimiser.

Here is one file an algorithm with its citation, and in `server/` what servers do. How a client
trains is not here (`training`), nor how rounds go (`rounds`). Read `composition.py` first, then
`fedavg.py`.
"""

from flnb.strategies.composition import Averaging, Strategy
from flnb.strategies.fedadagrad import FedAdagrad
from flnb.strategies.fedadam import FedAdam
from flnb.strategies.fedavg import FedAvg
from flnb.strategies.fedavgm import FedAvgM
from flnb.strategies.fedprox import FedProx
from flnb.strategies.fedsgd import FedSGD
from flnb.strategies.fedyogi import FedYogi

__all__ = [
    "Averaging",
    "FedAdagrad",
    "FedAdam",
    "FedAvg",
    "FedAvgM",
    "FedProx",
    "FedSGD",
    "FedYogi",
    "Strategy",
]
