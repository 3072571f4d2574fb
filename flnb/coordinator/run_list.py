"""The runs of a lab, as a list that shows itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from flnb.core import cards
from flnb.core.ids import RunId
from flnb.core.view import Status
from flnb.store import Table

if TYPE_CHECKING:
    import pandas as pd

    from flnb.coordinator.run import Run


class RunSummary(Protocol):
    """What a list shows of a run."""

    @property
    def id(self) -> RunId:
        """Opaque, unique for ever."""
        ...

    @property
    def name(self) -> str:
        """What people call it."""
        ...

    @property
    def status(self) -> Status:
        """What it is doing."""
        ...

    @property
    def task_name(self) -> str:
        """What it learns."""
        ...

    @property
    def waits_for(self) -> str:
        """What a waiting one waits for, in words; empty of any other."""
        ...


class RunOwner(Protocol):
    """Whoever has the runs: a lab, or a service elsewhere."""

    def run_of(self, name: str) -> Run:
        """The run of a name or an identity, as it stands now."""
        ...

    def sql(self, query: str, *, rows: int = 10_000, timeout_s: float = 5.0) -> Table:
        """Answer one SELECT."""
        ...


class RunList(Sequence["Run"]):
    """Runs of a lab, newest first; shows its first eight.

    Args:
        owner: Finds a run, and answers SQL.
        records: What is known of each.
    """

    def __init__(self, owner: RunOwner, records: Sequence[RunSummary]) -> None:
        self._owner, self._records = owner, tuple(records)

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, index: Any) -> Any:
        """A run, or a list of them."""
        if isinstance(index, slice):
            return RunList(self._owner, self._records[index])
        return self._owner.run_of(self._records[index].id)

    def __iter__(self) -> Iterator[Run]:
        return (self._owner.run_of(record.id) for record in self._records)

    @property
    def ids(self) -> tuple[RunId, ...]:
        """Their identities, from memory."""
        return tuple(record.id for record in self._records)

    def df(self) -> pd.DataFrame:
        """The table `runs`, as a DataFrame."""
        return self._owner.sql("SELECT * FROM runs ORDER BY created_at DESC").df()

    def __repr__(self) -> str:
        """Names and states of the first eight, from memory."""
        lines = [f"{record.name}  {record.status}{_waits(record)}" for record in self._records[:8]]
        return "\n".join([f"{len(self)} runs", *lines])

    def _repr_mimebundle_(self, **_: object) -> Mapping[str, str]:
        rows = [
            (
                record.name,
                cards.Html(cards.badge(record.status) + cards.escape(_waits(record))),
                record.task_name,
            )
            for record in self._records[:8]
        ]
        table = cards.table(("run", "status", "task"), rows, left=3)
        return cards.bundle(repr(self), cards.framed(cards.quiet(f"{len(self)} runs"), table))


def _waits(record: RunSummary) -> str:
    return f" for {record.waits_for}" if record.waits_for else ""
