"""What a run handle needs of whoever knows the run: a lab on this machine, or a service elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future
from typing import Any, Protocol

from flnb.coordinator.history.checkpoint import Checkpoint
from flnb.coordinator.history.preview import Preview
from flnb.coordinator.history.replay import ReplayPreview
from flnb.coordinator.history.walk import Walk
from flnb.core.errors import FLBaseError
from flnb.core.ids import RunId
from flnb.core.progress import Later
from flnb.core.view import RunView
from flnb.store import Closing, FailedAttempt, Table
from flnb.tensors import Model


class RunSource(Protocol):
    """Where the picture of a run comes from, how it is told things, and who looks things up."""

    @property
    def id(self) -> RunId:
        """Opaque, unique for ever."""
        ...

    @property
    def name(self) -> str:
        """What people call it."""
        ...

    @property
    def plan_yaml(self) -> str:
        """The plan by which it goes now."""
        ...

    @property
    def view(self) -> RunView:
        """The last picture, from memory."""
        ...

    @property
    def here(self) -> bool:
        """Whether this process drives it."""
        ...

    @property
    def later(self) -> Later | None:
        """Calls something after a while, on a thread that may draw."""
        ...

    def watch(self, watcher: Callable[[RunView], None]) -> Callable[[], None]:
        """Call `watcher` with every new picture; returns what ends that."""
        ...

    def done(self) -> Future[FLBaseError | None]:
        """Resolves when the run rests, with what a person should know about it."""
        ...

    def pause(self) -> None:
        """Ask it to rest after the open round; does nothing to one that rests."""
        ...

    def stop(self) -> None:
        """Ask it to end; does nothing to one that is over."""
        ...

    def resume(self, changes: Mapping[str, Any]) -> RunSource:
        """Let it go on.

        Returns:
            Where the run is found from now on.
        """
        ...

    @property
    def line(self) -> str:
        """An SQL condition for the rows of `lab.sql` that lead to its head."""
        ...

    def table(self, name: str, order: str) -> Table:
        """The rows of a table that are about this run."""
        ...

    def ask(self, query: str, *, rows: int, timeout_s: float) -> Table:
        """Answer one SELECT over the tables of its lab."""
        ...

    def closing(self, number: int) -> Closing | FailedAttempt:
        """A closed round, or the last failed attempt of one that is open.

        Raises:
            NotFoundError: There is no such round yet.
        """
        ...

    def history(self) -> Walk:
        """All branches of the run, and the line of this one."""
        ...

    def fork(self, name: str, at: int | str | None, changes: Mapping[str, Any]) -> RunSource:
        """Make a branch of it, with a plan that may differ; it rests."""
        ...

    def rollback(self, to: int | str) -> Preview:
        """Look at what a roll back would do."""
        ...

    def replay(self, from_: int | str, exclude: Collection[str], train: bool) -> ReplayPreview:
        """Look at what adding rounds up again without some clients would do."""
        ...

    def forget_updates(self, reason: str) -> int:
        """Delete every single update that is kept; returns of how many rounds."""
        ...

    def protect(self, protected: bool, reason: str) -> None:
        """Let nobody move its head back, or again let them."""
        ...

    def give_alias(self, name: str, at: int | str, condition: str, reason: str) -> Checkpoint:
        """Let a name mean a checkpoint."""
        ...

    def check_alias(self, name: str, at: int | str, condition: str) -> Checkpoint:
        """Look which checkpoint a name would mean, and whether it could."""
        ...

    def give_alias_back(self, name: str, reason: str) -> Checkpoint:
        """Let a name mean what it meant before."""
        ...

    def aliases(self) -> Table:
        """Every giving of a name to a round of the run."""
        ...

    def model(self) -> Model:
        """The newest version that is in history.

        Raises:
            NotFoundError: Nothing was committed yet.
        """
        ...

    @property
    def parameters_sha256(self) -> str:
        """Digest of that version; "" before the first."""
        ...
