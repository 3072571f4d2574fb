"""One closed round, explained: who was invited, who answered, who did not and why."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from flnb.coordinator.rows import LATE_UPDATE
from flnb.core import cards, glance
from flnb.core.errors import AccessRefusedError
from flnb.store import Closing, FailedAttempt, Table, in_words

_SHOWN_CLIENTS = 20
_WORDS = {name: name for name in ("refused", "failed", "lost", "late")} | {"accepted": "used"}


class RoundDetails:
    """One closed round of a run, from its closing record."""

    def __init__(self, run: str, closing: Closing) -> None:
        self._run, self.closing = run, closing

    def why(self) -> str:
        """Say in words why the round closed and what became of each client.

        Those that were not used come first, with the reason; of each kind at most 20.
        """
        closing = self.closing
        lines = [
            f"round {closing.round} closed: {closing.closed_by}, after {closing.seconds_s:.2f} s",
            f"{closing.invited} invited · {closing.accepted} used · {closing.refused} refused · "
            f"{closing.failed} failed · {closing.lost} lost · {closing.late} late",
        ]
        if closing.attempt:
            lines.append(f"{closing.attempt} earlier attempts had too few usable updates")
        if self._aggregates_only:
            lines.append("what became of each client is shown to operators")
            return Explanation("\n".join(lines))
        rows = list(self.clients)
        lines += _lines([row for row in rows if row["outcome"] != "accepted"])
        lines += _lines([row for row in rows if row["outcome"] == "accepted"])
        lines += self._others()
        return Explanation("\n".join(lines))

    @property
    def clients(self) -> Table:
        """One row per invited client: outcome, reason, and its update if one came.

        Raises:
            AccessRefusedError: Through a connection that shows aggregates only.
        """
        if self._aggregates_only:
            raise AccessRefusedError(
                "what became of each client needs the role operator",
                hint="an admin of the lab gives it: flnb token NAME --role operator",
            )
        updates = self.closing.updates
        by_client = {client: row for row, client in enumerate(updates["client"])}
        rows = [by_client.get(client) for client in self.closing.assignments["client"]]
        columns = {name: list(values) for name, values in self.closing.assignments.items()}
        for name in ("n_examples", "weight", "loss", "norm", "bytes_up", "arrived_s", "train_s"):
            values = updates[name]
            columns[name] = [None if row is None else values[row] for row in rows]
        return Table.of(columns)

    def _others(self) -> list[str]:
        """What came of clients that do not take part."""
        events = self.closing.events
        rows = zip(events["kind"], events["client"], events["detail"], strict=True)
        said = [
            f"{client} takes no part: {told}" for kind, client, told in rows if kind == LATE_UPDATE
        ]
        more = len(said) - _SHOWN_CLIENTS
        return [*said[:_SHOWN_CLIENTS], *([f"… and {more} more"] if more > 0 else [])]

    @property
    def _aggregates_only(self) -> bool:
        """Whether the rows of clients were left out on the way here."""
        return self.closing.invited > 0 and len(self.closing.assignments["client"]) == 0

    def __repr__(self) -> str:
        """One line, from memory."""
        closing = self.closing
        return f"Round({self._run!r}, {closing.round}, {closing.accepted}/{closing.invited} used)"

    def _repr_mimebundle_(self, **_: object) -> Mapping[str, str]:
        closing = self.closing
        facts = {
            "closed": f"{closing.closed_by}, after {closing.seconds_s:.2f} s",
            "used": f"{closing.accepted} of {closing.invited}",
            "commit": closing.snapshot
            or (in_words(closing.expired) if closing.expired else "not written to history"),
        }
        title = f"Round {closing.round} of {self._run}"
        return cards.bundle(repr(self), cards.card(title, facts, details={"why": str(self.why())}))


class AttemptDetails:
    """Why a round could not close: its last attempt, which had too few usable updates."""

    def __init__(self, run: str, attempt: FailedAttempt) -> None:
        self._run, self.attempt = run, attempt

    def why(self) -> str:
        """Say in words what became of each client that was not used."""
        attempt = self.attempt
        counts = " · ".join(f"{count} {name}" for name, count in attempt.counts.items() if count)
        why = "had too few usable updates" if attempt.counts else "is not used"
        head = f"round {attempt.round} has not closed: attempt {attempt.attempt + 1} {why}"
        return Explanation("\n".join([head, counts, *attempt.reasons.values()]))

    @property
    def clients(self) -> Table:
        """One row per client that has a reason: what became of it and why."""
        return Table.of(
            {"row": list(self.attempt.reasons), "story": list(self.attempt.reasons.values())}
        )

    def __repr__(self) -> str:
        """One line, from memory."""
        return f"Round({self._run!r}, {self.attempt.round}, not closed)"

    def _repr_mimebundle_(self, **_: object) -> Mapping[str, str]:
        title = f"Round {self.attempt.round} of {self._run}"
        card = cards.card(title, {"closed": "not yet"}, details={"why": str(self.why())})
        return cards.bundle(repr(self), card)


def _lines(rows: list[dict[str, Any]]) -> Iterator[str]:
    """One line a client, or several where a reason has them; then how many more there are."""
    for row in rows[:_SHOWN_CLIENTS]:
        yield _line(row)
    if more := Counter(_WORDS[row["outcome"]] for row in rows[_SHOWN_CLIENTS:]):
        yield "… and " + ", ".join(f"{count} more {word}" for word, count in more.items())


def _line(row: dict[str, Any]) -> str:
    facts = []
    if row["n_examples"] is not None:  # an update came
        facts.append(f"{row['n_examples']:,} examples, {glance.size(row['bytes_up'])} up")
    if _is_time(row["arrived_s"]):
        facts.append(f"here after {glance.seconds(row['arrived_s'])}")
    if _is_time(row["train_s"]):
        facts.append(f"{glance.seconds(row['train_s'])} of work")
    line = f"{row['client']} {_WORDS[row['outcome']]}"
    if row["reason"]:
        line += f": {row['reason'].rstrip()}"
    if not facts:
        return line
    return f"{line}\n    {', '.join(facts)}" if row["reason"] else f"{line}: {', '.join(facts)}"


def _is_time(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


class Explanation(str):
    """Text that shows its lines, also when it is the last value of a cell."""

    __slots__ = ()

    def __repr__(self) -> str:
        """The text itself."""
        return str(self)
