"""What every partitioner is: settings that people write, and `split`.

A split follows from the settings, the seed and the target alone. Every example goes to exactly
one client, unless the partitioner says which ones it leaves over.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import numpy as np
from jaxtyping import Int64, Shaped
from numpy.typing import ArrayLike
from pydantic import BeforeValidator, Field, PlainSerializer, PositiveInt

from flnb.core.config import Frozen
from flnb.core.errors import DataError, PlanError
from flnb.core.registry import Registry
from flnb.core.seeds import generator
from flnb.datasets.split import Split, client_names


class Partitioner(Frozen):
    """A way to spread examples over clients.

    Subclasses live here or in plug-ins and register with `partitioner_registry`.
    """

    kind: ClassVar[str] = ""

    def split(self, y: ArrayLike, ids: ArrayLike | None = None) -> Split:
        """Decide which client holds which example.

        Args:
            y: Target of every example.
            ids: Who each example came from; only `NaturalId` looks at it.

        Raises:
            DataError: The examples cannot be split like this.
        """
        raise NotImplementedError(f"{type(self).__name__} does not say how it splits")


class SimulatedClients(Partitioner):
    """A partitioner that makes its clients up and calls them `c000`, `c001` and so on."""

    clients: PositiveInt
    """How many clients there are."""
    seed: int = Field(default=0, ge=-(2**63), lt=2**63)
    """Public root of the split's randomness; independent of the seed of a plan."""

    def split(self, y: ArrayLike, ids: ArrayLike | None = None) -> Split:
        """Decide which client holds which example; `ids` is not looked at.

        Raises:
            DataError: The examples cannot be split like this.
        """
        target = np.asarray(y)
        if not target.ndim or not len(target):
            raise DataError(f"nothing to split: y has shape {target.shape}")
        return Split.from_owners(self.owners(target), client_names(self.clients), target)

    def owners(self, y: Shaped[np.ndarray, "..."]) -> Int64[np.ndarray, " examples"]:
        """Position of each example's client; -1 for an example that is left over."""
        raise NotImplementedError(f"{type(self).__name__} does not say who gets what")

    def random(self, **names: str | int) -> np.random.Generator:
        """Make the generator for one step of this partitioner."""
        return generator(self.seed, purpose="split", kind=self.kind, **names)


partitioner_registry: Registry[type[Partitioner]] = Registry(
    "partitioner", "flnb.partitioners", "flnb.datasets"
)


def read_partitioner(value: Any) -> Partitioner:
    """Read a partitioner from a run file: a mapping with `kind` and settings, or a name.

    Raises:
        NotFoundError: No partitioner of that kind; the nearest is offered.
        PlanError: A setting is unknown, missing or out of range.

    Examples:
        >>> read_partitioner({"kind": "iid", "clients": 5})
        IID(clients=5, seed=0)
    """
    if isinstance(value, Partitioner):
        return value
    settings = {"kind": value} if isinstance(value, str) else value
    if not isinstance(settings, dict) or "kind" not in settings:
        raise PlanError(
            f"a split is a mapping with a kind, got {value!r}",
            hint=f"kinds: {', '.join(partitioner_registry.names())}",
        )
    settings = dict(settings)
    return partitioner_registry.find(str(settings.pop("kind")))(**settings)


def write_partitioner(value: Partitioner) -> dict[str, Any]:
    """Write a partitioner so that `read_partitioner` reads the same one."""
    return {"kind": value.kind, **value.model_dump(mode="json")}


PartitionerField = Annotated[
    Partitioner, BeforeValidator(read_partitioner), PlainSerializer(write_partitioner)
]
"""Type of a setting that holds a partitioner, for models that people write in YAML."""
