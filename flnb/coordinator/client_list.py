"""The remote clients of a lab, as a person sees them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from flnb.core import cards

if TYPE_CHECKING:
    import pandas as pd

    from flnb.coordinator.lab import Lab
    from flnb.store import ClientRecord


@dataclass(frozen=True, slots=True)
class ClientRow:
    """One remote client, as a person sees it."""

    client: str
    state: str
    """`idle`, `training`, `offline`, or `revoked`."""
    n_examples: int
    last_seen_at: datetime | None
    task: str
    joined_at: datetime

    @classmethod
    def of(cls, record: ClientRecord, state: str = "offline") -> ClientRow:
        """From the lab's record, and what the client is doing."""
        return cls(
            record.name,
            "revoked" if record.revoked_at is not None else state,
            record.n_examples,
            record.last_seen_at,
            str(record.about.get("task", "")),
            record.joined_at,
        )


class ClientList(Sequence[ClientRow]):
    """The remote clients of a lab; a snapshot."""

    def __init__(self, rows: Sequence[ClientRow]) -> None:
        self._rows = tuple(rows)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: Any) -> Any:
        return self._rows[index]

    def __iter__(self) -> Iterator[ClientRow]:
        return iter(self._rows)

    def df(self) -> pd.DataFrame:
        """One row a client."""
        import pandas as pd

        columns = list(ClientRow.__dataclass_fields__)
        values = [[getattr(row, name) for name in columns] for row in self._rows]
        return pd.DataFrame(values, columns=columns)

    def __repr__(self) -> str:
        """One line a client."""
        lines = [f"{row.client}  {row.state}  {row.n_examples:,} examples" for row in self._rows]
        return "\n".join(lines) or "no remote client has joined"

    def _repr_mimebundle_(self, **_: object) -> Mapping[str, str]:
        heads = ("client", "state", "examples", "task", "last seen")
        rows = [
            (
                row.client,
                row.state,
                f"{row.n_examples:,}",
                row.task,
                f"{row.last_seen_at:%H:%M:%S}" if row.last_seen_at else "never",
            )
            for row in self._rows
        ]
        return cards.bundle(repr(self), cards.framed(cards.table(heads, rows, left=2)))


def clients_of(lab: Lab) -> list[ClientRow]:
    """The remote clients of a lab; those of another process are `offline` as far as we know."""
    return [ClientRow.of(record) for record in lab.store.state.clients()]
