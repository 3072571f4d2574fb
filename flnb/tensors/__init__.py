"""Parameters as one flat vector with a layout, and exact sums of updates.

Here are the layout, model and update every room passes on, sums whose bits do not depend on the
order, the spool that stages uploads, and packing of optimiser state. Torch modules are not here
(`tasks`, `training`), and neither are rules and optimisers (`aggregation`, `strategies`). Read
`layout.py` first, then `model.py` and `exact.py`.
"""

from flnb.tensors.arrays import BLOCK_VALUES, aligned, blocks, l2_norm, largest_magnitude
from flnb.tensors.cohort import CohortSum
from flnb.tensors.exact import ExactSum
from flnb.tensors.half import round_halves
from flnb.tensors.layout import CHUNK_VALUES, Layout, Slot
from flnb.tensors.model import Model, Update
from flnb.tensors.packing import pack, unpack
from flnb.tensors.reuse import hand_out, keep_freed_memory, release_unused, unfilled
from flnb.tensors.shelf import Shelf, beside, lent
from flnb.tensors.sooner import SOONER_BYTES, begin_writing
from flnb.tensors.spare import SpareFiles, mapped
from flnb.tensors.spool import Spool
from flnb.tensors.spool_file import SpoolFile
from flnb.tensors.staging import Staging

__all__ = [
    "BLOCK_VALUES",
    "CHUNK_VALUES",
    "SOONER_BYTES",
    "CohortSum",
    "ExactSum",
    "Layout",
    "Model",
    "Shelf",
    "Slot",
    "SpareFiles",
    "Spool",
    "SpoolFile",
    "Staging",
    "Update",
    "aligned",
    "begin_writing",
    "beside",
    "blocks",
    "hand_out",
    "keep_freed_memory",
    "l2_norm",
    "largest_magnitude",
    "lent",
    "mapped",
    "pack",
    "release_unused",
    "round_halves",
    "unfilled",
    "unpack",
]
