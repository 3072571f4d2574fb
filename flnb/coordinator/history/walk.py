"""What people see of a run's history: the graph of its branches, and its rounds, one row each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from flnb.coordinator.history.graph import Lane, as_svg, as_text
from flnb.core import RunId, cards
from flnb.store import RoundKey, Table

if TYPE_CHECKING:
    import pandas as pd

    from flnb.coordinator.history.checkpoint import Checkpoint


class KnownRound(NamedTuple):
    """One round of any branch of a run."""

    run: RunId
    """Identity of the branch."""
    branch: str
    generation: int
    round: int
    on_line: bool
    """Whether it leads to the head that is looked at."""
    commit: str | None
    names: str
    """Those that it was given, one after the other."""
    expired: str = ""
    """Who let its commit go, when and why; empty if it has one, or never had."""

    @property
    def key(self) -> RoundKey:
        """Which round it is, for ever."""
        return RoundKey(self.run, self.generation, self.round)


class Walk:
    """All branches of a run, and the line of one of them; a snapshot of the moment it was made.

    Args:
        title: The run's name.
        rounds: Of all branches.
        lanes: The branches as they are drawn.
    """

    def __init__(self, title: str, rounds: Sequence[KnownRound], lanes: Sequence[Lane]) -> None:
        self.title, self.rounds, self.lanes = title, tuple(rounds), tuple(lanes)

    def checkpoint(self, which: int | str) -> Checkpoint:
        """Find a committed round of the line by its number, or any by a name.

        Args:
            which: A number, `@head`, `@best` (of the metric that is drawn), or a name that was
                given, with or without its `@`; of another branch `BRANCH@head`, `BRANCH@30`, also
                with the run's name before it. 0 is what a run started from, if that were weights
                from elsewhere.

        Raises:
            NotFoundError: No such name or round, or a round without a commit; the nearest with
                one are said.
            RoundStateError: The commit that an alias was given to has gone since.
        """
        raise NotImplementedError

    def commits(self) -> list[RoundKey]:
        """Rounds of the line that can be restored at once, in order."""
        return [one.key for one in self.rounds if one.commit and one.on_line]

    def commit_before(self, round_: int) -> RoundKey | None:
        """The last committed round of the line that is not after a number; None before the first."""
        return max(
            (key for key in self.commits() if key.round <= round_),
            key=lambda key: key.round,
            default=None,
        )

    def df(self) -> pd.DataFrame:
        """One row a round of any branch: its key, whether the line leads there, its commit, names."""
        columns = [name for name in KnownRound._fields if name != "run"]
        return Table.of(
            {name: [getattr(one, name) for one in self.rounds] for name in columns}
        ).df()

    def __repr__(self) -> str:
        """The graph as text, from memory."""
        return as_text(self.title, self.lanes)

    def _repr_mimebundle_(self, **_: object) -> Mapping[str, str]:
        drawing = cards.Html(as_svg(self.title, self.lanes))
        title = cards.quiet(f"History of {self.title}")
        return cards.bundle(repr(self), cards.framed(title, drawing))
