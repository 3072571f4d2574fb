"""What a roll back would do, shown before anything is done."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from flnb.coordinator.acting import request
from flnb.coordinator.history.moving import roll_back
from flnb.coordinator.history.timeline import Timeline, named_commit
from flnb.coordinator.picture import Drawing, row_of
from flnb.core import cards, glance
from flnb.core.errors import FLBaseError, HeadMovedError, PlanError
from flnb.store import Request, RoundKey, RunRecord
from flnb.store.generations import blocked, protected
from flnb.store.lines import Leaving

if TYPE_CHECKING:
    from flnb.coordinator.lab import Lab

PROTECTED = "protected"
"""The fact that nobody may move the head."""


class Preview:
    """What leaves a branch, what stays, and what is in the way. Nothing has happened yet.

    Made by `run.rollback(to=…)`; `apply` does it, if the head is still where it was seen.

    Args:
        name: Of the branch.
        seen: Generation and round of the head that this was made for.
        base: What the branch would stand on; None is the beginning.
        target: The round that was asked for.
        leaves: Rounds that leave the branch.
        blocked_by: Aliases that are in the way.
        facts: All of it, as words.
    """

    def __init__(
        self,
        name: str,
        seen: tuple[int, int],
        base: RoundKey | None,
        target: int,
        *,
        leaves: Sequence[int],
        blocked_by: Sequence[str],
        facts: Mapping[str, str],
    ) -> None:
        self.name, self.seen, self.base, self.target = name, seen, base, target
        self.leaves, self.blocked_by = list(leaves), list(blocked_by)
        self._facts = dict(facts)
        self._request = request("").id

    @property
    def again(self) -> list[int]:
        """Rounds up to the target that have no commit and are run again."""
        return _again(self.base, self.target)

    def apply(self, reason: str) -> None:
        """Do it. The run rests afterwards; `run.resume()` goes on from there.

        Applying the same preview twice does it once, so a lost answer is no conflict.

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
        try:
            self._move(request(reason, self._request))
        except HeadMovedError as error:
            with suppress(FLBaseError):  # the head may be before the target by now
                error.preview = self._afresh()
            raise

    def check(self) -> None:
        """See that nothing forbids it, as `apply` would.

        Raises:
            RoundStateError: The branch is protected, or an alias is in the way.
        """
        if PROTECTED in self._facts:
            raise protected(self.name)
        if self.blocked_by:
            raise blocked(self.name, self.blocked_by)

    def facts(self) -> dict[str, str]:
        """All of it, as words."""
        return dict(self._facts)

    def _move(self, asked: Request) -> None:
        raise NotImplementedError

    def _afresh(self) -> Preview:
        raise NotImplementedError

    def __repr__(self) -> str:
        """What would happen, from memory."""
        lines = [f"roll back {self.name} (nothing has happened yet)"]
        return "\n".join([*lines, *(f"  {name}: {text}" for name, text in self._facts.items())])

    def _repr_mimebundle_(self, **_: object) -> Mapping[str, str]:
        return cards.bundle(repr(self), cards.card(f"Roll back {self.name}", self._facts))


class RollbackPreview(Preview):
    """A preview for a lab that this process can read.

    Args:
        lab: The lab.
        record: The branch.
        to: A round of its line, or a name of a round of any branch of the run.
        on_moved: Called once it was done, for whoever shows the run.

    Raises:
        NotFoundError: There is no such round or name.
        PlanError: The round is the head, or comes after it.
    """

    def __init__(
        self,
        lab: Lab,
        record: RunRecord,
        to: int | str,
        on_moved: Callable[[], None] = lambda: None,
    ) -> None:
        self._lab, self._record, self._to, self._on_moved = lab, record, to, on_moved
        state = lab.store.state
        seen = (record.generation, state.head(record.id).round)
        base, target = self._find(to, seen[1])
        leaving = state.leaving(record.id, base)
        blocked_by = [f"@{one.name}" for one in state.blocking(record.id, base)]
        super().__init__(
            record.name,
            seen,
            base,
            target,
            leaves=[closing.round for closing in leaving],
            blocked_by=blocked_by,
            facts=self._told(leaving, seen, base, target) | self._obstacles(blocked_by),
        )

    def _find(self, to: int | str, head: int) -> tuple[RoundKey | None, int]:
        # By single rows: all rounds of a long run take longer to read than a roll back may.
        state = self._lab.store.state
        if isinstance(to, str):
            named = state.names(self._record.id).get(to.removeprefix("@"))
            if named is not None:
                key = named_commit(self._lab.store, named)
            else:
                key = Timeline(self._lab.store, self._record).key(to)
            return key, key.round
        if not 0 <= to < head:
            raise PlanError(
                f"{self._record.name} is at round {head}: it can be rolled back to rounds 0 to "
                f"{head - 1}, not to {to}",
                hint="what was left behind goes by its name; run.history shows the names",
            )
        return state.commit_at(state.line(self._record.id).key(to)) if to else None, to

    def _move(self, asked: Request) -> None:
        roll_back(self._lab, self._record.id, self.seen, self.base, asked)
        self._on_moved()

    def _afresh(self) -> RollbackPreview:
        record = self._lab.store.state.run(self._record.id)
        return RollbackPreview(self._lab, record, self._to, self._on_moved)

    def _told(
        self, leaving: Sequence[Leaving], seen: tuple[int, int], base: RoundKey | None, target: int
    ) -> dict[str, str]:
        facts = {"to": f"round {target}" if target else "before the first round"}
        if leaving:
            facts["leaves"] = (
                f"{_rounds([one.round for one in leaving])} ({len(leaving)}), kept as "
                f"{self._record.kept_name(seen[0])}"
            )
        if isinstance(self._to, str):  # its numbers are another line's
            facts["comes back"] = f"what led to {self._to}, up to round {target}"
        else:
            facts |= self._scores(seen[1], target)
        megabytes = sum(one.bytes_up for one in leaving) / 1e6
        seconds = sum(one.seconds_s for one in leaving)
        facts["stays"] = (
            f"{megabytes:.1f} MB sent up and {glance.seconds(seconds)} of rounds stay counted; "
            "tables and the log keep their rows"
        )
        if again := _again(base, target):
            start = f"the commit of round {base.round}" if base else "the beginning"
            facts["run again"] = f"{_rounds(again)}, from {start}"
        return facts

    def _obstacles(self, blocked_by: Sequence[str]) -> dict[str, str]:
        facts = {}
        if (invited := self._under_way()) and not self._record.status.over:
            facts["refused"] = f"up to {invited} updates that are under way"
        if blocked_by:
            facts["in the way"] = ", ".join(blocked_by)
        if self._record.protected:
            facts[PROTECTED] = "yes: its head is not moved"
        return facts

    def _scores(self, head: int, target: int) -> dict[str, str]:
        state = self._lab.store.state
        drawing = Drawing()
        for number in (head, target):
            if (closing := state.closing(self._record.id, number)) is not None:
                drawing = drawing.with_round(number, row_of(closing).metrics)
        values = dict(drawing.curve)
        if len(values) < 2:
            return {}
        return {
            drawing.headline: f"{glance.number(values[head])} → {glance.number(values[target])}"
        }

    def _under_way(self) -> int:
        """How many clients work for the run at this moment, as far as this process knows."""
        coordinator = self._lab.coordinator
        live = coordinator.picture(self._record.id) if coordinator is not None else None
        return live.view.invited if live is not None else 0


def _rounds(numbers: Sequence[int]) -> str:
    return f"{'rounds' if len(numbers) > 1 else 'round'} {glance.spans(numbers)}"


def _again(base: RoundKey | None, target: int) -> list[int]:
    return list(range((base.round if base else 0) + 1, target + 1))
