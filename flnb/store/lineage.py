"""Which rounds lead to the head of a branch: generations, each of which stands on a base.

A fork and a roll back are the same thing here, a generation that begins after some round of
another one. Nothing in this file reads or writes: rows in, answers out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple, Self

from flnb.core import RunId
from flnb.core.errors import NotFoundError
from flnb.core.messages import Segment as Segment  # a word of this room, too


class RoundKey(NamedTuple):
    """One round of one branch; the same number may exist in several generations."""

    run: RunId
    """Identity of the branch's row."""
    generation: int
    round: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """That a branch goes on from some round: since its start, a fork, or a roll back."""

    run: RunId
    generation: int
    base: RoundKey | None
    """The round it stands on, which has a commit; None is the first version, before any round."""
    request: str
    """Given by whoever asked: the same request twice is done once."""
    actor: str
    reason: str
    at: datetime
    replays: RoundKey | None = None
    """Rounds of the line of this one, up to it, are not trained but added up again from kept
    updates."""
    base_sha256: str | None = None
    """Of the model that it stands on; None is the first version, or was not written by a flnb of before."""

    @classmethod
    def of(cls, row: Any) -> Self:
        """Read it from a row of the table of generations."""
        base = replays = None
        if row.base_run is not None:
            base = RoundKey(row.base_run, row.base_generation, row.base_round)
        if row.replay_run is not None:
            replays = RoundKey(row.replay_run, row.replay_generation, row.replay_round)
        names = ("run", "generation", "request", "actor", "reason", "at", "base_sha256")
        return cls(base=base, replays=replays, **{name: getattr(row, name) for name in names})

    @property
    def after(self) -> int:
        """Number of the round that it stands on, 0 for none."""
        return self.base.round if self.base else 0


class Line:
    """The rounds that lead to the head of a branch.

    Args:
        segments: Oldest first; each begins where the one before ends.
    """

    def __init__(self, segments: Iterable[Segment]) -> None:
        self.segments = tuple(segments)

    @classmethod
    def of(cls, run: RunId, generation: int, known: Mapping[tuple[RunId, int], Generation]) -> Line:
        """Walk from a generation to the first version.

        Args:
            run: The branch.
            generation: Where to begin; usually its newest.
            known: Rows of all generations on the way. One that is missing stands on the first
                version: labs of before have no rows for it.
        """
        segments = list[Segment]()
        last: int | None = None
        at: RoundKey | None = RoundKey(run, generation, 0)
        while at is not None:
            row = known.get((at.run, at.generation))
            after = row.after if row else 0
            if last is None or last > after:  # a base may lie before all rounds of its generation
                segments.append(Segment(at.run, at.generation, after, last))
            last = after if last is None else min(last, after)
            at = row.base if row else None
        return cls(reversed(segments))

    def up_to(self, round_: int) -> Line:
        """The part of it that led to one of its rounds, which may lie in any segment."""
        return Line(
            replace(one, last=round_ if one.last is None else min(one.last, round_))
            for one in self.segments
            if one.after < round_
        )

    @property
    def newest(self) -> Segment:
        """The generation that goes on."""
        return self.segments[-1]

    def key(self, round_: int) -> RoundKey:
        """Which generation a round of the line belongs to.

        Raises:
            NotFoundError: Rounds are numbered from 1.
        """
        for segment in self.segments:
            if round_ in segment:
                return RoundKey(segment.run, segment.generation, round_)
        raise NotFoundError("round", round_)

    def __contains__(self, key: object) -> bool:
        """Whether a round, by its key, leads to the head."""
        return isinstance(key, RoundKey) and any(
            (segment.run, segment.generation) == (key.run, key.generation) and key.round in segment
            for segment in self.segments
        )
