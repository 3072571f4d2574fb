"""Ways to spread one data set over many clients, one in each file.

Here are the partitioners, the names they are found by and nothing that reads data. Read
`partitioner.py` first, then `iid.py`.
"""

from flnb.datasets.partition.dirichlet import Dirichlet
from flnb.datasets.partition.iid import IID
from flnb.datasets.partition.label_quantity import LabelQuantity
from flnb.datasets.partition.log_normal_sizes import LogNormalSizes
from flnb.datasets.partition.natural_id import NaturalId
from flnb.datasets.partition.partitioner import (
    Partitioner,
    PartitionerField,
    SimulatedClients,
    partitioner_registry,
    read_partitioner,
    write_partitioner,
)
from flnb.datasets.partition.power_law_sizes import PowerLawSizes
from flnb.datasets.partition.shards import Shards

__all__ = [
    "IID",
    "Dirichlet",
    "LabelQuantity",
    "LogNormalSizes",
    "NaturalId",
    "Partitioner",
    "PartitionerField",
    "PowerLawSizes",
    "Shards",
    "SimulatedClients",
    "partitioner_registry",
    "read_partitioner",
    "write_partitioner",
]
