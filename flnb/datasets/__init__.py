"""Data, and how it is spread over clients.

Here are readers (digits, MNIST, Shakespeare, hospitals, your own), splits with their pictures, and
partitioners. Not here: models, losses and tensors, which are in `flnb.tasks`. Read `arrays.py`
first, then `split.py` and `partition/partitioner.py`.
"""

from flnb.datasets.arrays import Arrays, FederatedData
from flnb.datasets.digits import load_digits_data
from flnb.datasets.files import data_dir
from flnb.datasets.heart import heart
from flnb.datasets.mnist import mnist
from flnb.datasets.own import own
from flnb.datasets.partition import (
    IID,
    Dirichlet,
    LabelQuantity,
    LogNormalSizes,
    NaturalId,
    Partitioner,
    PartitionerField,
    PowerLawSizes,
    Shards,
    SimulatedClients,
    partitioner_registry,
    read_partitioner,
    write_partitioner,
)
from flnb.datasets.picture import SplitPicture
from flnb.datasets.shakespeare import shakespeare
from flnb.datasets.split import Split

__all__ = [
    "IID",
    "Arrays",
    "Dirichlet",
    "FederatedData",
    "LabelQuantity",
    "LogNormalSizes",
    "NaturalId",
    "Partitioner",
    "PartitionerField",
    "PowerLawSizes",
    "Shards",
    "SimulatedClients",
    "Split",
    "SplitPicture",
    "data_dir",
    "heart",
    "load_digits_data",
    "mnist",
    "own",
    "partitioner_registry",
    "read_partitioner",
    "shakespeare",
    "write_partitioner",
]
