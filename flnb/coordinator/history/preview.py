"""What a roll back would do, shown before anything is done."""

from __future__ import annotations

import getpass
import secrets
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from flnb.coordinator.history.moving import roll_back
from flnb.coordinator.history.timeline import Timeline
from flnb.core import cards, glance
from flnb.core.errors import FLBaseError, HeadMovedError, PlanError
from flnb.store import Request, RoundKey, RunRecord
from flnb.store.generations import leads_to

if TYPE_CHECKING:
    from flnb.coordinator.lab import Lab


class RollbackPreview:
    """What leaves a branch, what stays, and what is in the way. Nothing has happened yet.

    Made by `run.rollback(to=…)`; `apply` does it, if the head is still where it was seen.

    Args:
        lab: The lab.
        record: The branch.
        to: A round of its line, or a name of a round of any branch of the run.

    Raises:
        NotFoundError: There is no such round or name.
        PlanError: The round is the head, or comes after it.
    """

    def __init__(self, lab: Lab, record: RunRecord, to: int | str) -> None:
        self._lab, self._record, self._to = lab, record, to
        self._request_id = secrets.token_hex(8)
        timeline = Timeline(lab.store, record)
        state = lab.store.state
        head = state.head(record.id)
        self.seen = (record.generation, head.round)
        """Generation and round of the head that this was made for."""
        self._base, self.target = self._find(timeline, to, head.round)
        target = state.line_of(self._base) if self._base else None
        self._leaving = [
            closing
            for closing in state.summaries(record.id)
            if not leads_to(self._base, target, closing.round_key)
        ]
        self.blocked_by = [f"@{one.name}" for one in state.blocking(record.id, self._base)]
        self._protected = record.protected
        self._view = lab.run(record.id).view
        self._in_flight = 0 if record.status.over else self._view.invited

    def _find(self, timeline: Timeline, to: int | str, head: int) -> tuple[RoundKey | None, int]:
        if isinstance(to, str):
            key = timeline.key(to)
            return key, key.round
        if not 0 <= to < head:
            raise PlanError(
                f"{self._record.name} is at round {head}: it can be rolled back to rounds 0 to "
                f"{head - 1}, not to {to}",
                hint="what was left behind goes by its name; run.history shows the names",
            )
        return timeline.commit_before(to), to

    @property
    def leaves(self) -> list[int]:
        """Rounds that leave the branch."""
        return [closing.round for closing in self._leaving]

    @property
    def again(self) -> list[int]:
        """Rounds up to the target that have no commit and are run again."""
        return list(range((self._base.round if self._base else 0) + 1, self.target + 1))

    def apply(self, reason: str) -> None:
        """Do it. The run rests afterwards; `run.resume()` goes on from there.

        Applying the same preview twice does it once.

        Args:
            reason: Why; kept in the operations log.

        Raises:
            PlanError: No reason.
            HeadMovedError: The head is elsewhere now; nothing was done. Its `preview` is
                a fresh one, if there is still something to roll back.
            RoundStateError: The branch is protected, or an alias is in the way.
        """
        if not reason.strip():
            raise PlanError("a roll back needs a reason", hint='apply(reason="…")')
        request = Request(id=self._request_id, actor=getpass.getuser(), reason=reason)
        try:
            roll_back(self._lab, self._record.id, self.seen, self._base, request)
        except HeadMovedError as error:
            record = self._lab.store.state.run(self._record.id)
            with suppress(FLBaseError):  # the head may be before the target by now
                error.preview = RollbackPreview(self._lab, record, self._to)
            raise

    def facts(self) -> dict[str, str]:
        """All of it, as words."""
        facts = {"to": f"round {self.target}" if self.target else "before the first round"}
        if self._leaving:
            first, last = self.leaves[0], self.leaves[-1]
            facts["leaves"] = (
                f"rounds {first}–{last} ({len(self._leaving)}), kept as "
                f"before-rollback-{self.seen[0]}"
            )
        if isinstance(self._to, str):
            facts["comes back"] = f"what led to {self._to}, up to round {self.target}"
        facts |= self._scores()
        megabytes = sum(closing.bytes_up for closing in self._leaving) / 1e6
        seconds = sum(closing.seconds_s for closing in self._leaving)
        facts["stays"] = (
            f"{megabytes:.1f} MB sent up and {glance.seconds(seconds)} of rounds stay counted; "
            "tables and the log keep their rows"
        )
        if self.again:
            base = f"the commit of round {self._base.round}" if self._base else "the beginning"
            facts["run again"] = f"rounds {self.again[0]}–{self.again[-1]}, from {base}"
        if self._in_flight:
            facts["refused"] = f"up to {self._in_flight} updates that are under way"
        if self.blocked_by:
            facts["in the way"] = ", ".join(self.blocked_by)
        if self._protected:
            facts["protected"] = "yes: its head is not moved"
        return facts

    def _scores(self) -> dict[str, str]:
        if isinstance(self._to, str):
            return {}  # its numbers are another line's
        curve = dict(self._view.curve)
        now, then = curve.get(self.seen[1]), curve.get(self.target)
        if now is None or then is None:
            return {}
        return {self._view.headline: f"{glance.number(now)} → {glance.number(then)}"}

    def __repr__(self) -> str:
        """What would happen, from memory."""
        lines = [f"roll back {self._record.name} (nothing has happened yet)"]
        return "\n".join([*lines, *(f"  {name}: {text}" for name, text in self.facts().items())])

    def _repr_mimebundle_(self, **_: object) -> Mapping[str, str]:
        card = cards.card(f"Roll back {self._record.name}", self.facts())
        return cards.bundle(repr(self), card)
