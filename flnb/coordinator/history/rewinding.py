"""The part of a run's handle that walks, forks and undoes its history."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Collection

    from flnb.coordinator.history.checkpoint import Checkpoint
    from flnb.coordinator.history.preview import Preview
    from flnb.coordinator.history.replay import ReplayPreview
    from flnb.coordinator.history.walk import Walk
    from flnb.coordinator.source import RunSource
    from flnb.store import Table


class Rewinding:
    """History of a run; `Run` inherits it."""

    source: RunSource

    def __init__(self, source: RunSource) -> None:
        self.source = source

    @property
    def history(self) -> Walk:
        """All branches of the run as a graph; `history.df()` lists every round of them."""
        return self.source.history()

    def checkpoint(self, which: int | str = "@head") -> Checkpoint:
        """Find a committed round.

        Args:
            which: Its number, `@head`, `@best` (of the metric that is drawn), or a name.

        Raises:
            NotFoundError: There is none; the nearest are said.
            RoundStateError: The commit that an alias was given to has gone since.
        """
        return self.source.history().checkpoint(which)

    def branch(self, name: str, *, at: int | str | None = None, **changes: Any) -> Self:
        """Make a branch that goes its own way from a round on; nothing is copied.

        Cohorts and batches are named by the plan's seed, round and client: both sides meet the
        same clients in the same order, as far as their plans agree.

        Args:
            name: Of the branch; `lab.run("RUN/NAME")` finds it.
            at: A committed round or the name of one; 0 is the first version, None the last commit.
            **changes: Settings of the plan that are others on the branch; any may be.

        Returns:
            The branch, which rests: `resume()` lets it go on.

        Raises:
            NotFoundError: No such round, or one without a commit.
            PlanError: The name cannot be one, or the plan cannot be.
            NameTakenError: The run has a branch of that name.
        """
        return type(self)(self.source.fork(name, at, changes))

    def rollback(self, to: int | str) -> Preview:
        """Look at what going back to an earlier round would do; `apply(reason=…)` does it.

        Nothing is ever deleted: the head that is left behind keeps a name, and rolling back to
        that name is the undo.

        Args:
            to: A round of this branch, 0 for the beginning, or a name.

        Raises:
            NotFoundError: There is no such round or name.
            PlanError: The round is the head, or comes after it.
        """
        return self.source.rollback(to)

    def replay(
        self, from_: int | str, *, exclude: Collection[str] = (), train: bool = False
    ) -> ReplayPreview:
        """Look at what the rounds after a commit would have come to without some clients.

        `apply(reason=…)` makes a branch that stands on the commit, and its `resume()` adds the kept
        updates up again, by the same rule and server optimiser. With nobody excluded that gives the
        same bits. It is not exact unlearning: later updates of the others were trained from
        versions that the excluded clients had a part in; `ReplayPreview` says more, and its sources.

        Args:
            from_: The last round that stays as it is: a committed one, 0, or a name.
            exclude: Clients to leave out, also when the branch goes on afterwards.
            train: Train the rounds again, for which nothing need be kept.

        Raises:
            NotFoundError: There is no such round, or no such client took part in the rounds after it.
            PlanError: No round comes after it, or the rounds were made by different strategies.
        """
        return self.source.replay(from_, exclude, train)

    def forget_updates(self, *, reason: str = "") -> int:
        """Delete every single update of this branch that is kept, now; returns of how many rounds.

        They are gone for replays too. A run that goes on by a plan with `keep_updates` keeps new ones.
        """
        return self.source.forget_updates(reason)

    def protect(self, protected: bool = True, *, reason: str = "") -> Self:  # reads well
        """Let nobody move this branch's head back, or again let them."""
        self.source.protect(protected, reason)
        return self

    def alias(
        self,
        name: str,
        at: int | str = "@head",
        *,
        if_: str = "",
        reason: str = "",
        dry_run: bool = False,
    ) -> Checkpoint:
        """Give a checkpoint a name, which may move: `run.alias("serving", "@best", if_="accuracy > 0.9")`.

        Args:
            name: Such as `serving` or `candidate`.
            at: Which checkpoint; see `checkpoint`.
            if_: Only if a metric of that very round is so.
            reason: Why; kept in the operations log.
            dry_run: Only see whether it could be given.

        Raises:
            NotFoundError: There is no such checkpoint.
            PlanError: The name cannot be one, or the condition cannot be read.
            RoundStateError: The condition is not met; the name stays where it was.
        """
        if dry_run:
            return self.source.check_alias(name, at, if_)
        return self.source.give_alias(name, at, if_, reason)

    def revert_alias(self, name: str, *, reason: str = "") -> Checkpoint:
        """Let a name mean again what it meant before.

        Raises:
            NotFoundError: There is no such alias, or it never meant anything else.
        """
        return self.source.give_alias_back(name, reason)

    @property
    def aliases(self) -> Table:
        """Every giving of a name to a round of this run, oldest first."""
        return self.source.aliases()
