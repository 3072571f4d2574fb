"""History against lists: rounds, forks, roll backs, undo, names, protection, expiry, crashes, takeovers."""

import shutil
import tempfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from flnb.coordinator.history.moving import move
from flnb.core.errors import CommitConflictError, HeadMovedError, RoundStateError
from flnb.store import History, LabStore, Request, RoundKey, StateStore
from flnb.store.retention import sweep
from flnb.testing.stores import sample_closing, sample_run

PICK = st.integers(0, 30)
NAMES = ("best", "serving")


class HistoryAgainstModel(RuleBasedStateMachine):
    """The model: branch → list of round keys, and what was committed in each round.

    A holder puts a branch to its head once, before the first commit to it: `going` has the
    branches for which this was done.
    """

    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="flnb-model-"))
        self.state = StateStore(self.folder / "state.db")
        self.history = History(self.folder / "history")
        self.state.create_run(sample_run())
        self.lines = {"run001": []}
        self.commits = {}  # round key → (snapshot, its number)
        self.kept = {}  # (branch, generation) → line that was left behind
        self.given = {name: [] for name in NAMES}  # alias → rounds, newest last
        self.bases, self.protected, self.going = set(), set(), set()
        self.numbers = self.requests = 0
        self.epoch = 1

    def teardown(self):
        for snapshot, number in self.commits.values():
            self.check(self.history, snapshot, number)
        self.state.close()
        shutil.rmtree(self.folder)

    def check(self, history, snapshot, number):
        assert history.read(snapshot)["parameters"].tolist() == [number] * 3

    def request(self):
        self.requests += 1
        return Request(id=str(self.requests), actor="ada", reason="why")

    def branch(self, pick):
        return sorted(self.lines)[pick % len(self.lines)]

    def last_commit(self, line):
        return next((key for key in reversed(line) if key in self.commits), None)

    def base(self, line, pick):
        """The last committed round of the first so many rounds, and the rounds up to it."""
        base = self.last_commit(line[: pick % (len(line) + 1)])
        return base, line[: line.index(base) + 1] if base else []

    # --- commits --------------------------------------------------------------------------------

    def commit(self, run):
        """Write a version onto the head of a branch, as whoever holds the lab does."""
        if run not in self.going:
            base = self.last_commit(self.lines[run])
            snapshot = self.commits[base][0] if base else None
            self.history.reset(run, snapshot, epoch=self.epoch)
            self.going.add(run)
        self.numbers += 1
        return self.write(self.history, run, self.epoch), self.numbers

    def write(self, history, run, epoch):
        values = np.full(3, self.numbers, np.float32)
        return history.write(run, {"parameters": values}, {"epoch": epoch})

    @rule(pick=PICK, commit=st.booleans())
    def train(self, pick, commit):
        run = self.branch(pick)
        record, number = self.state.run(run), len(self.lines[run]) + 1
        key = RoundKey(run, record.generation, number)
        if commit:
            self.commits[key] = self.commit(run)
        snapshot = self.commits[key][0] if commit else None
        closing = sample_closing(number, run=run, clients=0, snapshot=snapshot)
        self.state.close_round(replace(closing, generation=key.generation, branch=record.branch))
        self.lines[run].append(key)

    @rule(pick=PICK, orphan=st.booleans())
    def crash(self, pick, orphan):
        """The holder ends, after a commit that no row names; the next one opens everything anew."""
        if orphan:
            self.commit(self.branch(pick))
        self.state = StateStore(self.folder / "state.db")
        self.history = History(self.folder / "history")
        self.going.clear()

    @precondition(lambda self: self.going)
    @rule(pick=PICK)
    def take_over(self, pick):
        """The holder only seemed to have ended: what it writes afterwards does not fit any more."""
        run, before, epoch = sorted(self.going)[pick % len(self.going)], self.history, self.epoch
        going = set(self.going)
        self.crash(pick, orphan=False)
        self.epoch += 1
        for one in going:
            self.commit(one)  # of which the state hears nothing: an orphan of the new holder
        with pytest.raises(CommitConflictError):
            self.write(before, run, epoch)

    @rule(pick=PICK)
    def resume(self, pick):
        """Anybody reads the head of a branch whole."""
        if (key := self.last_commit(self.lines[self.branch(pick)])) is not None:
            self.check(History(self.folder / "history"), *self.commits[key])

    # --- heads ----------------------------------------------------------------------------------

    @rule(pick=PICK, upto=PICK)
    def fork(self, pick, upto):
        base, line = self.base(self.lines[self.branch(pick)], upto)
        number = len(self.lines) + 1
        record = replace(sample_run(f"quiet-otter/b{number}", number=number), branch=f"b{number}")
        self.state.fork(record, base, self.request())
        self.lines[record.id] = line
        self.bases.add(base)

    @rule(pick=PICK, upto=PICK, lost=st.booleans())
    def roll_back(self, pick, upto, lost):
        run = self.branch(pick)
        self.move(run, *self.base(self.lines[run], upto), lost)

    @rule(pick=PICK, name=PICK)
    def undo(self, pick, name):
        run = self.branch(pick)
        if kept := sorted(key for key in self.kept if key[0] == run):
            _, generation = kept[name % len(kept)]
            line = self.kept[run, generation]
            named = self.state.names(run)[self.state.run(run).kept_name(generation)]
            assert named.key == RoundKey(run, generation, len(line))
            self.move(run, *self.base(line, len(line)), lost=False)

    def move(self, run, base, line, lost):
        generation = self.state.run(run).generation
        seen, request = (generation, len(self.lines[run])), self.request()
        store = Mock(spec=LabStore, state=self.state, writer=self.history)
        meant = {keys[-1] for keys in self.given.values() if keys}
        if run in self.protected or meant & set(self.lines[run]) - set(line):
            with pytest.raises(RoundStateError, match=r"protected|would leave"):
                move(store, run, seen, base, request)
            return
        with pytest.raises(HeadMovedError):
            move(store, run, (generation, seen[1] + 1), base, self.request())
        move(store, run, seen, base, request)
        for _ in range(lost):  # asked again, because the answer was lost
            assert self.state.move_head(run, seen, base, request).generation == generation + 1
        with pytest.raises(HeadMovedError):
            self.state.move_head(run, seen, base, self.request())
        if seen[1]:
            self.kept[run, generation] = self.lines[run]
        self.lines[run] = line
        self.bases.add(base)
        self.going.discard(run)

    # --- names, protection, expiry --------------------------------------------------------------

    @rule(pick=PICK, at=PICK, name=st.sampled_from(NAMES))
    def give_name(self, pick, at, name):
        if (key := self.base(self.lines[self.branch(pick)], at)[0]) is not None:
            self.state.give_name(name, key, self.request())
            self.given[name].append(key)

    @rule(pick=PICK)
    def protect(self, pick):
        run = self.branch(pick)
        self.protected ^= {run}
        self.state.protect(run, self.request(), protected=run in self.protected)

    def reached(self):
        """Commits that stay: of heads, protected lines, bases, names, and what names meant before."""
        ends = [*self.lines.values(), *self.kept.values()]
        protected = {key for run in self.protected for key in self.lines[run]}
        meant = {key for keys in self.given.values() for key in keys[-2:]}
        return {self.last_commit(line) for line in ends} | self.bases | protected | meant

    @rule(some=st.sets(PICK), sweeps=st.booleans(), young=st.booleans())
    def expire(self, some, sweeps, young):
        committed = sorted(self.commits)
        chosen = {committed[pick % len(committed)] for pick in some if committed}
        if stay := chosen & self.reached():
            with pytest.raises(RoundStateError, match="stays"):
                self.state.expire(sorted(chosen), self.request())
            chosen -= stay
        self.state.expire(sorted(chosen), self.request())
        self.commits = {key: what for key, what in self.commits.items() if key not in chosen}
        if sweeps:
            now = datetime.now(UTC) + timedelta(seconds=1)
            cut = now - timedelta(days=30 * young)
            sweep(self.history.place, self.state.named_snapshots, cut, now)

    # --- what is always so ----------------------------------------------------------------------

    @invariant()
    def every_branch_is_its_list(self):
        for run, line in self.lines.items():
            found = [(one.round_key, one.snapshot) for one in self.state.summaries(run)]
            assert found == [(key, self.commits.get(key, (None,))[0]) for key in line]
            head = self.state.head(run)
            assert head.round == len(line)
            assert (head.closing and head.closing.round_key) == self.last_commit(line)

    @invariant()
    def the_log_is_whole(self):
        position, digest = self.state.log_head()
        assert self.state.log_damage({position: digest} if position else {}) == ""


def sized(examples, steps):
    """The same machine as a test of its own."""

    class Sized(HistoryAgainstModel.TestCase):
        settings = settings(max_examples=examples, stateful_step_count=steps, deadline=None)

    return Sized


TestHistoryAgainstModel = sized(8, 25)
TestHistoryAgainstModelAtLength = pytest.mark.long(pytest.mark.timeout(1800)(sized(150, 50)))
