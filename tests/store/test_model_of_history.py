"""Heads of branches against lists: rounds, forks, roll backs, undo, lost answers, crashes, races."""

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from flnb.core.errors import HeadMovedError
from flnb.store import Request, RoundKey, StateStore
from flnb.testing.stores import sample_closing, sample_run

PICK = st.integers(0, 30)


class HistoryAgainstModel(RuleBasedStateMachine):
    """The model: branch → [(round key, has a commit)], and name → such a list."""

    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="flnb-model-"))
        self.state = StateStore(self.folder / "state.db")
        self.state.create_run(sample_run())
        self.lines, self.kept, self.requests = {"run001": []}, {}, 0

    def teardown(self):
        self.state.close()
        shutil.rmtree(self.folder)

    def request(self):
        self.requests += 1
        return Request(id=str(self.requests), actor="ada", reason="why")

    def branch(self, pick):
        return sorted(self.lines)[pick % len(self.lines)]

    def base(self, line, pick):
        """The last committed round of the first so many rounds, and the rounds up to it."""
        upto = line[: pick % (len(line) + 1)]
        while upto and not upto[-1][1]:
            upto = upto[:-1]
        return (upto[-1][0] if upto else None), upto

    @rule(pick=PICK, commit=st.booleans())
    def close_round(self, pick, commit):
        run = self.branch(pick)
        record, number = self.state.run(run), len(self.lines[run]) + 1
        key = RoundKey(run, record.generation, number)
        closing = sample_closing(number, run=run, clients=0, snapshot=str(key) if commit else None)
        self.state.close_round(replace(closing, generation=key.generation, branch=record.branch))
        self.lines[run].append((key, commit))

    @rule(pick=PICK, upto=PICK)
    def fork(self, pick, upto):
        base, line = self.base(self.lines[self.branch(pick)], upto)
        number = len(self.lines) + 1
        record = replace(sample_run(f"quiet-otter/b{number}", number=number), branch=f"b{number}")
        self.state.fork(record, base, self.request())
        self.lines[record.id] = list(line)

    @rule(pick=PICK, upto=PICK, lost=st.booleans())
    def roll_back(self, pick, upto, lost):
        run = self.branch(pick)
        base, line = self.base(self.lines[run], upto)
        self.move(run, base, line, lost)

    @rule(pick=PICK, name=PICK)
    def undo(self, pick, name):
        kept = sorted(key for key in self.kept if key[0] == self.branch(pick))
        if kept:
            line = self.kept[kept[name % len(kept)]]
            base, upto = self.base(line, len(line))
            self.move(self.branch(pick), base, upto, lost=False)

    def move(self, run, base, line, lost):
        generation = self.state.run(run).generation
        seen, request = (generation, len(self.lines[run])), self.request()
        for _ in range(1 + lost):  # asked again, because the answer was lost
            assert self.state.move_head(run, seen, base, request).generation == generation + 1
        with pytest.raises(HeadMovedError):
            self.state.move_head(run, seen, base, self.request())
        self.kept[run, generation] = self.lines[run]
        self.lines[run] = list(line)

    @rule()
    def crash(self):
        self.state.close()
        self.state = StateStore(self.folder / "state.db")

    @invariant()
    def every_branch_is_its_list(self):
        for run, line in self.lines.items():
            found = [(one.round_key, one.snapshot is not None) for one in self.state.summaries(run)]
            assert found == line
            head = self.state.head(run)
            committed = [key for key, commit in line if commit]
            assert head.round == len(line)
            assert (head.closing.round_key if head.closing else None) == (
                committed[-1] if committed else None
            )

    @invariant()
    def the_log_is_whole(self):
        position, digest = self.state.log_head()
        assert self.state.log_damage({position: digest} if position else {}) == ""


TestHistoryAgainstModel = HistoryAgainstModel.TestCase
TestHistoryAgainstModel.settings = settings(max_examples=12, stateful_step_count=25, deadline=None)
