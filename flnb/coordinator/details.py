"""One closed round, explained: who was invited, who answered, who did not and why."""

from __future__ import annotations

from collections.abc import Mapping

from flnb.core import cards
from flnb.store import Closing, FailedAttempt, Table


class RoundDetails:
    """One closed round of a run, from its closing record."""

    def __init__(self, run: str, closing: Closing) -> None:
        self._run, self.closing = run, closing

    def why(self) -> str:
        """Say in words why the round closed and what became of each client that was not used."""
        closing = self.closing
        lines = [
            f"round {closing.round} closed: {closing.closed_by}, after {closing.seconds_s:.2f} s",
            f"{closing.invited} invited · {closing.accepted} used · {closing.refused} refused · "
            f"{closing.failed} failed · {closing.lost} lost · {closing.late} late",
        ]
        if closing.attempt:
            lines.append(f"{closing.attempt} earlier attempts had too few usable updates")
        columns = closing.assignments
        for client, outcome, reason in zip(
            columns["client"], columns["outcome"], columns["reason"], strict=True
        ):
            if outcome != "accepted":
                lines.append(f"{client} {outcome}" + (f": {reason}" if reason else ""))
        return Explanation("\n".join(lines))

    @property
    def clients(self) -> Table:
        """One row per invited client: outcome, reason, and its update if one came."""
        updates = self.closing.updates
        by_client = {client: row for row, client in enumerate(updates["client"])}
        rows = [by_client.get(client) for client in self.closing.assignments["client"]]
        columns = {name: list(values) for name, values in self.closing.assignments.items()}
        for name in ("n_examples", "weight", "loss", "norm", "bytes_up", "arrived_s", "train_s"):
            values = updates[name]
            columns[name] = [None if row is None else values[row] for row in rows]
        return Table.of(columns)

    def __repr__(self) -> str:
        """One line, from memory."""
        closing = self.closing
        return f"Round({self._run!r}, {closing.round}, {closing.accepted}/{closing.invited} used)"

    def _repr_mimebundle_(self, **_: object) -> Mapping[str, str]:
        closing = self.closing
        facts = {
            "closed": f"{closing.closed_by}, after {closing.seconds_s:.2f} s",
            "used": f"{closing.accepted} of {closing.invited}",
            "commit": closing.snapshot or "not written to history",
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
        head = f"round {attempt.round} has not closed: attempt {attempt.attempt + 1} had too few usable updates"
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


class Explanation(str):
    """Text that shows its lines, also when it is the last value of a cell."""

    __slots__ = ()

    def __repr__(self) -> str:
        """The text itself."""
        return str(self)
