"""The remote clients of a lab, as a person sees them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from flnb.core import cards
from flnb.core.ids import ClientId

if TYPE_CHECKING:
    import pandas as pd

    from flnb.coordinator.lab import Lab
    from flnb.store import ClientRecord, QuarantineRecord


@dataclass(frozen=True, slots=True)
class ClientRow:
    """One remote client, as a person sees it."""

    client: str
    state: str
    """`idle`, `training`, `offline`, `revoked`, `invited` (nobody has joined under the name), or
    `unknown`: only the process that holds the lab could say. `simulated` stands in quarantine."""
    n_examples: int
    last_seen_at: datetime | None
    task: str
    joined_at: datetime | None
    """None of one that is only invited."""
    invite_ends_at: datetime | None = None
    """Until when somebody can join under this name, with an invite that was not used."""
    quarantined_at: datetime | None = None
    """Since when it is not drawn; None while it may be."""
    quarantine_reason: str = ""
    rotated_at: datetime | None = None
    """When it changed its key by itself last; None if it did not since it joined."""

    @property
    def doing(self) -> str:
        """Its state in words, for a list."""
        return f"{self.state}, quarantined" if self.quarantined_at is not None else self.state

    @classmethod
    def of(cls, record: ClientRecord, state: str, invite_ends_at: datetime | None) -> ClientRow:
        """From the lab's record, what the client is doing, and the invites for its name."""
        return cls(
            record.name,
            "revoked" if record.revoked_at is not None else state,
            record.n_examples,
            record.last_seen_at,
            str(record.about.get("task", "")),
            record.joined_at,
            invite_ends_at,
            rotated_at=record.rotated_at,
        )


class ClientList(Sequence[ClientRow]):
    """The remote clients of a lab; a snapshot.

    Args:
        rows: One a client.
        simulated: How many are simulated, by task. There may be a hundred thousand, whose names are
            numbers: they are counted, and not listed.
    """

    def __init__(self, rows: Sequence[ClientRow], simulated: Mapping[str, int]) -> None:
        self._rows, self.simulated = tuple(rows), simulated

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: Any) -> Any:
        return self._rows[index]

    def __iter__(self) -> Iterator[ClientRow]:
        return iter(self._rows)

    @property
    def not_listed(self) -> list[str]:
        """A line for the simulated clients of each task."""
        found = self.simulated.items()
        return [f"not listed: {n:,} simulated clients of {task}" for task, n in found]

    def df(self) -> pd.DataFrame:
        """One row a client."""
        import pandas as pd

        columns = list(ClientRow.__dataclass_fields__)
        values = [[getattr(row, name) for name in columns] for row in self._rows]
        return pd.DataFrame(values, columns=columns)

    def __repr__(self) -> str:
        """One line a client."""
        lines = [_line(row) for row in self._rows] or ["no remote client has joined or is invited"]
        return "\n".join([*lines, *self.not_listed])

    def _repr_mimebundle_(self, **_: object) -> Mapping[str, str]:
        heads = ("client", "state", "examples", "task", "last seen", "invite until", "new key")
        rows = [
            (
                row.client,
                row.doing,
                f"{row.n_examples:,}",
                row.task,
                f"{row.last_seen_at:%H:%M:%S}" if row.last_seen_at else "never",
                f"{row.invite_ends_at:%Y-%m-%d %H:%M} UTC" if row.invite_ends_at else "",
                f"{row.rotated_at:%Y-%m-%d %H:%M} UTC" if row.rotated_at else "",
            )
            for row in self._rows
        ]
        rows += [(line, "", "", "", "", "", "") for line in self.not_listed]
        return cards.bundle(repr(self), cards.framed(cards.table(heads, rows, left=2)))


def clients_of(lab: Lab, doing: Mapping[ClientId, str] | None = None) -> list[ClientRow]:
    """The remote clients of a lab and whoever is invited, by name.

    Args:
        lab: The lab.
        doing: What those do that are here. Without it all are `unknown` while somebody holds the
            lab, and else `offline`.
    """
    others = "unknown" if doing is None and lab.store.holder is not None else "offline"
    state, invited = lab.store.state, lab.store.state.open_invites()
    rows = [
        ClientRow.of(
            record,
            (doing or {}).get(ClientId(record.name), others),
            invited.pop(record.name, None),
        )
        for record in state.clients()
    ]
    rows += [ClientRow(name, "invited", 0, None, "", None, ends) for name, ends in invited.items()]
    return sorted(_with_quarantines(rows, state.quarantines()), key=lambda row: row.client)


def _with_quarantines(
    rows: Sequence[ClientRow], resting: Mapping[str, QuarantineRecord]
) -> Iterator[ClientRow]:
    """Say of everybody whether it rests; simulated clients are told of only then."""
    for row in rows:
        one = resting.get(row.client)
        found = (one.at, one.reason) if one is not None else (None, "")
        yield replace(row, quarantined_at=found[0], quarantine_reason=found[1])
    for name in resting.keys() - {row.client for row in rows}:
        at, reason = resting[name].at, resting[name].reason
        yield ClientRow(name, "simulated", 0, None, "", None, None, at, reason)


def _line(row: ClientRow) -> str:
    line = f"{row.client}  {row.doing}  {row.n_examples:,} examples"
    if row.joined_at is None:
        line = f"{row.client}  {row.doing}"
    if row.rotated_at is not None:
        line += f"  (new key {row.rotated_at:%Y-%m-%d %H:%M} UTC)"
    ends_at = row.invite_ends_at
    return line if ends_at is None else f"{line}  (invite until {ends_at:%Y-%m-%d %H:%M} UTC)"
