"""The history of a run as people walk it: its checkpoints by number or name, and the graph."""

from __future__ import annotations

import math
from dataclasses import dataclass

from flnb.coordinator.history.checkpoint import Checkpoint, StoredCheckpoint
from flnb.coordinator.history.graph import Lane
from flnb.coordinator.history.starting import as_closing, in_words
from flnb.coordinator.history.walk import KnownRound, Walk
from flnb.core import RunId
from flnb.core.errors import NotFoundError, RoundStateError
from flnb.core.ids import which_of
from flnb.store import (
    DAMAGED,
    EXPIRED,
    HIDDEN,
    KEPT,
    Closing,
    LabStore,
    Named,
    RoundKey,
    RunRecord,
    Segment,
)
from flnb.tensors import Layout

HEAD, BEST = "head", "best"
"""Names that are looked up and not given."""


@dataclass(frozen=True, slots=True)
class _Known:
    """What the state database says of all branches of a run at one moment."""

    records: dict[RunId, RunRecord]
    rounds: list[tuple[RoundKey, str | None]]
    names: dict[str, Named]


class Timeline(Walk):
    """All branches of a run, and the line of one of them; a snapshot of the moment it was made.

    Args:
        store: The lab's store.
        record: The branch.
    """

    def __init__(self, store: LabStore, record: RunRecord) -> None:
        self._store, self._record = store, record
        state = store.state
        self.line = state.line(record.id)
        branches = {
            one.id: one for one in reversed(state.runs()) if one.trunk_name == record.trunk_name
        }
        rounds = [(key, snapshot) for key, snapshot, _ in state.rounds_of(list(branches))]
        self._known = _Known(branches, rounds, state.names(record.id))
        told = in_words(record)
        title = f"{record.trunk_name} {told}" if told else record.trunk_name
        super().__init__(title, self._all_rounds(), self._all_lanes())

    def for_viewers(self) -> Walk:
        """The same without words that may quote a client, or tell where a file lies."""
        rounds = [one._replace(expired=one.expired and HIDDEN) for one in self.rounds]
        return Walk(self._record.trunk_name, rounds, self.lanes)

    # --- checkpoints ----------------------------------------------------------------------------

    def checkpoint(self, which: int | str) -> Checkpoint:
        """Find a committed round; see `Walk.checkpoint`."""
        if which == 0 and self._trunk.start:
            return self._checkpoint(as_closing(self._trunk))
        closing = self._store.state.closing_of(self.key(which))
        assert closing is not None, "keys come from closed rounds"
        return self._checkpoint(closing)

    def at(self, key: RoundKey) -> Checkpoint:
        """The committed round of a key.

        Raises:
            NotFoundError: There is none, or it is of another run.
        """
        if key == RoundKey(self._trunk.id, 1, 0) and self._trunk.start:
            return self._checkpoint(as_closing(self._trunk))
        closing = self._store.state.closing_of(key)
        if closing is None or closing.snapshot is None or closing.run not in self._known.records:
            raise NotFoundError("commit of closed round", key.round)
        return self._checkpoint(closing)

    def key(self, which: int | str) -> RoundKey:
        """Which round is meant; see `checkpoint`."""
        if isinstance(which, int):
            return self._committed(which)
        branch, at, rest = which.rpartition("@")
        if branch and at:
            there = Timeline(self._store, self._branch(branch))
            return there.key(which_of(rest))
        name = which.removeprefix("@")
        if name == HEAD:
            if (found := self._store.state.head(self._record.id).closing) is None:
                raise NotFoundError("committed round of run", self._record.name)
            return RoundKey(found.run, found.generation, found.round)
        if name == BEST:
            return self._best()
        if (named := self._known.names.get(name)) is not None:
            return named_commit(self._store, named)
        sign = which[: which.startswith("@")]
        known = [sign + one for one in (HEAD, BEST, *self._known.names)]
        raise NotFoundError("name of a round", which, known)

    @property
    def _trunk(self) -> RunRecord:
        records = self._known.records.values()
        return next(one for one in records if one.name == self._record.trunk_name)

    def _branch(self, name: str) -> RunRecord:
        """A branch by its own name, or with the run's before it; the run's is the first one's."""
        named = {one.name: one for one in self._known.records.values()}
        own = {one.branch: one for one in self._known.records.values()}
        if (found := named.get(name) or own.get(name)) is None:
            raise NotFoundError(f"branch of {self._record.trunk_name}", name, own)
        return found

    def _committed(self, round_: int) -> RoundKey:
        committed = {key.round: key for key in self.commits()}
        if round_ not in committed:
            raise self._not_committed(round_, sorted(committed))
        return committed[round_]

    def _not_committed(self, round_: int, committed: list[int]) -> NotFoundError:
        last = max((key.round for key, _ in self._known.rounds if key in self.line), default=0)
        near = sorted(sorted(committed, key=lambda number: abs(number - round_))[:2])
        if not 0 < round_ <= last:
            error = NotFoundError("closed round", round_)
            error.hint = (
                f"{self._record.name} has closed rounds 1 to {last}" if last else "none is closed"
            )
            if round_ == 0:
                error.hint += (
                    "; what is before the first is made from the plan's seed and has no commit, "
                    "unless the run was started from other weights"
                )
            return error
        error = NotFoundError("commit of closed round", round_)
        error.hint = (
            f"the nearest rounds with a commit are {' and '.join(map(str, near))}; "
            "a plan with commit_every=1 commits every round"
        )
        return error

    def _best(self) -> RoundKey:
        scored = [
            (points, closing)
            for closing in self._store.state.summaries(self._record.id)
            if closing.snapshot and not math.isnan(points := score(closing))
        ]
        if not scored:
            raise NotFoundError("measured and committed round of run", self._record.name)
        _, best = max(scored, key=lambda pair: (pair[0], pair[1].round))
        return RoundKey(best.run, best.generation, best.round)

    def _checkpoint(self, closing: Closing) -> Checkpoint:
        record = self._known.records[closing.run]
        layout = Layout.from_json(record.layout)
        return StoredCheckpoint(self._store, record.name, layout, closing)

    # --- the graph ------------------------------------------------------------------------------

    def _all_rounds(self) -> list[KnownRound]:
        expired = self._store.state.expired(list(self._known.records))
        names: dict[RoundKey, list[str]] = {}
        for one in self._known.names.values():
            names.setdefault(one.key, []).append(one.name)
        return [
            KnownRound(
                key.run,
                self._known.records[key.run].branch,
                key.generation,
                key.round,
                on_line=key in self.line,
                commit=snapshot,
                names=", ".join(names.get(key, ())),
                expired=expired.get(key, ""),
            )
            for key, snapshot in self._known.rounds
        ]

    def _all_lanes(self) -> list[Lane]:
        rows = {(row.run, row.generation): row for row in self._store.state.generations()}
        lanes = []
        for record in self._known.records.values():
            for generation in range(1, record.generation + 1):
                row = rows.get((record.id, generation))
                segment = Segment(record.id, generation, row.after if row else 0, None)
                lanes.append(self._lane(record, segment, row.base if row else None))
        return lanes

    def _lane(self, record: RunRecord, segment: Segment, base: RoundKey | None) -> Lane:
        mine = [
            (key, snapshot)
            for key, snapshot in self._known.rounds
            if (key.run, key.generation) == (segment.run, segment.generation)
        ]
        labels: dict[int, str] = {}
        for one in self._known.names.values():
            if (one.key.run, one.key.generation) == (segment.run, segment.generation):
                before = labels.get(one.key.round)
                labels[one.key.round] = f"{before} @{one.name}" if before else f"@{one.name}"
        return Lane(
            branch=record.branch,
            generation=segment.generation,
            base=(self._known.records[base.run].branch, base.generation) if base else None,
            after=segment.after,
            last=max((key.round for key, _ in mine), default=segment.after),
            commits=tuple(sorted(key.round for key, snapshot in mine if snapshot)),
            labels=labels,
            current=segment.generation == record.generation,
        )


def named_commit(store: LabStore, named: Named) -> RoundKey:
    """The commit that a name means.

    A head that was left behind may have closed rounds after its last commit. An alias was given to a
    commit, which met its condition: no earlier one stands in for it.

    Raises:
        NotFoundError: No commit is left of what led to such a head.
        RoundStateError: The commit that the alias was given to is gone.
    """
    key = named.key
    commit = store.state.commit_at(key)
    if named.kind == KEPT:
        if commit is not None:
            return commit
        error = NotFoundError(
            f"commit up to round {key.round} of the head that goes by", named.name
        )
        error.hint = "run.history.df() shows the others, and what became of those"
        raise error
    closing = store.state.closing_of(key)
    if (became := _became(named, commit, closing)) or commit is None:
        raise RoundStateError(
            f"the commit of round {key.round}, which @{named.name} names, {became}",
            hint=f"run.alias({named.name!r}, …) moves it; run.history.df() shows the others",
        )
    return commit


def _became(named: Named, commit: RoundKey | None, closing: Closing | None) -> str:
    """What became of the commit that an alias was given to; empty if it is there."""
    if commit == named.key:
        now = closing.parameters_sha256 if closing is not None else None
        same = named.parameters_sha256 in (None, now)
        return "" if same else "was made again and came out otherwise"
    # Without a note where the round is run again, or was and got no commit.
    note = closing.expired if closing is not None and closing.expired else {"why": ""}
    words = {DAMAGED: "was damaged and given up", EXPIRED: "has expired"}
    return words.get(note["why"], "is gone")


def score(closing: Closing) -> float:
    """What `@best` is best in: the first metric that is not a loss, else the smallest loss."""
    columns = closing.metrics
    rows = zip(columns["scope"], columns["metric"], columns["value"], strict=True)
    central = {str(name): float(value) for scope, name, value in rows if scope == "central"}
    own = [value for name, value in central.items() if name != "loss"]
    return own[0] if own else -central.get("loss", math.nan)
