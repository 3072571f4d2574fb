"""A run of a lab on this machine, whichever process drives it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from flnb.coordinator.acting import request
from flnb.coordinator.following import why_it_rests
from flnb.coordinator.history import aliases, marking
from flnb.coordinator.history.checkpoint import Checkpoint
from flnb.coordinator.history.moving import Branching, fork
from flnb.coordinator.history.preview import RollbackPreview
from flnb.coordinator.history.reading import whole_model
from flnb.coordinator.history.replay import ReplayPreview, StoredReplay
from flnb.coordinator.history.timeline import Timeline
from flnb.coordinator.jobs import end_resting
from flnb.coordinator.picture import Picture
from flnb.core.errors import FLBaseError, NotFoundError
from flnb.core.ids import RunId
from flnb.core.plan import Plan
from flnb.core.progress import Later
from flnb.core.view import RunView
from flnb.rounds import PauseAsked
from flnb.store import Closing, FailedAttempt, Request, RunRecord, Table
from flnb.tensors import Layout, Model

if TYPE_CHECKING:
    from flnb.coordinator.coordinator import Coordinator
    from flnb.coordinator.lab import Lab


class LocalRun:
    """A run of a lab, as `RunSource`.

    Args:
        lab: The lab.
        record: The run's row, as it was read last.
        picture: Where the run is shown.
    """

    def __init__(self, lab: Lab, record: RunRecord, picture: Picture) -> None:
        self._lab, self._record, self._picture = lab, record, picture

    @property
    def id(self) -> RunId:
        """See `RunSource`."""
        return self._record.id

    @property
    def name(self) -> str:
        """See `RunSource`."""
        return self._record.name

    @property
    def plan_yaml(self) -> str:
        """See `RunSource`."""
        return self._record.plan_yaml

    @property
    def view(self) -> RunView:
        """See `RunSource`."""
        return self._picture.view

    @property
    def here(self) -> bool:
        """See `RunSource`."""
        return self._driver is not None

    @property
    def later(self) -> Later | None:
        """See `RunSource`."""
        coordinator = self._lab.coordinator
        return coordinator.later if coordinator is not None else None

    @property
    def _driver(self) -> Coordinator | None:
        """The coordinator of this process, if it drives the run or drove it to its rest."""
        coordinator = self._lab.coordinator
        drives = coordinator is not None and coordinator.drives(self.id)
        return coordinator if drives else None

    # --- the picture ----------------------------------------------------------------------------

    def watch(self, watcher: Callable[[RunView], None]) -> Callable[[], None]:
        """See `RunSource`."""
        if self.follow() is None and not self.here:  # it rests: its head may be moved elsewhere
            self._picture = self._lab.following(self._record).picture
        return self._picture.watch(watcher)

    def done(self) -> Future[FLBaseError | None]:
        """See `RunSource`."""
        if (driver := self._driver) is not None:
            return driver.done(self.id)
        if (following := self.follow()) is not None:
            return following
        over: Future[FLBaseError | None] = Future()
        over.set_result(why_it_rests(self._record))
        return over

    def follow(self) -> Future[FLBaseError | None] | None:
        """Keep the picture up to date while another process drives the run.

        Returns:
            Resolves when the run rests; None if no other process drives it.
        """
        if self._driver is not None:
            return None
        self._record = record = self._lab.store.state.run(self.id)
        if not record.status.over and self._lab.store.driver(record) is not None:
            following = self._lab.following(record)
            self._picture = following.picture
            return following.done
        if not self.view.status.over:  # it came to its rest unseen, or whoever drove it is gone
            self._picture.show(self._lab.picture(record).view)
        return None

    # --- telling it -----------------------------------------------------------------------------

    def pause(self) -> None:
        """See `RunSource`."""
        coordinator, store = self._lab.coordinator, self._lab.store
        if store.elsewhere(self.id) is not None:
            store.state.enqueue_command(self.id, "pause")
        elif coordinator is not None:
            coordinator.tell(self.id, PauseAsked())

    def stop(self) -> None:
        """See `RunSource`."""
        coordinator, store = self._lab.coordinator, self._lab.store
        if store.elsewhere(self.id) is not None:
            store.state.enqueue_command(self.id, "stop")
        elif coordinator is not None:
            coordinator.end(self.id)
        else:
            with store.lease("stop"):
                end_resting(store, self.id, self._picture)

    def resume(self, changes: Mapping[str, Any]) -> LocalRun:
        """See `RunSource`."""
        resumed = self._lab.resume(self.id, changes=changes).source
        assert isinstance(resumed, LocalRun), "runs of a lab are local"
        return resumed

    # --- looking things up ----------------------------------------------------------------------

    @property
    def line(self) -> str:
        """See `RunSource`."""
        return self._lab.store.state.rows_of_line(self.id)

    def table(self, name: str, order: str) -> Table:
        """See `RunSource`."""
        query = f"SELECT * FROM {name} WHERE {self.line} ORDER BY {order}"  # noqa: S608  # names of runs and branches are checked when they are made
        with self._lab.tables(self._record) as tables:
            return tables.query(query, rows=10_000_000, timeout_s=60.0)

    def ask(self, query: str, *, rows: int, timeout_s: float) -> Table:
        """See `RunSource`."""
        return self._lab.sql(query, rows=rows, timeout_s=timeout_s)

    def closing(self, number: int) -> Closing | FailedAttempt:
        """See `RunSource`."""
        state = self._lab.store.state
        closing = state.closing(self.id, number)
        if closing is not None:
            return closing
        if mine := [attempt for attempt in state.attempts(self.id) if attempt.round == number]:
            return mine[-1]
        error = NotFoundError("closed round", number)
        last = self.view.round
        error.hint = f"rounds 1 to {last} are closed" if last else "no round is closed yet"
        raise error

    def history(self) -> Timeline:
        """See `RunSource`."""
        return Timeline(self._lab.store, self._lab.store.state.run(self.id))

    def fork(self, name: str, at: int | str | None, changes: Mapping[str, Any]) -> LocalRun:
        """See `RunSource`."""
        return self.fork_once(name, at, changes, request(""))

    def fork_once(
        self, name: str, at: int | str | None, changes: Mapping[str, Any], asked: Request
    ) -> LocalRun:
        """Make a branch, or find the one that the same request made."""
        state = self._lab.store.state
        with state.at_one_moment():
            timeline, record = self.history(), state.run(self.id)
            if at is None:
                base = timeline.commit_before(state.head(self.id).round)
            else:
                base = None if at == 0 else timeline.key(at)
        plan = Plan.from_stored(record.plan_yaml).replace(**changes)
        wanted = Branching(name=name, plan=plan, base=base, request=asked)
        made = fork(self._lab, record, wanted)
        return LocalRun(self._lab, made, self._lab.picture(made))

    def rollback(self, to: int | str) -> RollbackPreview:
        """See `RunSource`."""
        state = self._lab.store.state
        with state.at_one_moment():
            return RollbackPreview(self._lab, state.run(self.id), to, self._redraw)

    def _redraw(self) -> None:
        """Show the run anew whose head was moved; where it is driven, that was done there."""
        self._record = self._lab.store.state.run(self.id)
        if not self.here:
            self._picture.become(self._lab.picture(self._record))

    def replay(  # as in the port
        self, from_: int | str, exclude: Collection[str], train: bool
    ) -> ReplayPreview:
        """See `RunSource`."""
        record = self._lab.store.state.run(self.id)
        return StoredReplay(self._lab, record, from_, exclude, train=train)

    def forget_updates(self, reason: str) -> int:
        """See `RunSource`."""
        return marking.forget_updates(self._lab, self.id, request(reason))

    def protect(self, protected: bool, reason: str) -> None:  # as in the port
        """See `RunSource`."""
        marking.protect(self._lab, self.id, request(reason), protected=protected)

    def give_alias(self, name: str, at: int | str, condition: str, reason: str) -> Checkpoint:
        """See `RunSource`."""
        checkpoint = self.history().checkpoint(at)
        aliases.give(self._lab, name, checkpoint, condition=condition, reason=reason)
        return checkpoint

    def check_alias(self, name: str, at: int | str, condition: str) -> Checkpoint:
        """See `RunSource`."""
        checkpoint = self.meets(at, condition)
        aliases.plain_name(name, checkpoint.round)
        return checkpoint

    def meets(self, at: int | str, condition: str) -> Checkpoint:
        """Find a checkpoint that must meet a condition."""
        checkpoint = self.history().checkpoint(at)
        aliases.check(self._lab.store, condition, checkpoint)
        return checkpoint

    def give_alias_back(self, name: str, reason: str) -> Checkpoint:
        """See `RunSource`."""
        aliases.give_back(self._lab, self.id, name, reason)
        return self.history().checkpoint(name)

    def aliases(self) -> Table:
        """See `RunSource`."""
        return aliases.table(self._lab.store, self.id)

    def model(self) -> Model:
        """See `RunSource`."""
        closing = self._lab.store.state.head(self.id).closing
        if closing is None:
            raise NotFoundError("committed round of run", self.name)
        return whole_model(self._lab.store, closing, Layout.from_json(self._record.layout))

    @property
    def parameters_sha256(self) -> str:
        """See `RunSource`."""
        closing = self._lab.store.state.head(self.id).closing
        return (closing.parameters_sha256 or "") if closing else ""
