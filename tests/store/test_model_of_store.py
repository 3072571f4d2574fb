"""State and tables against a dictionary: random closings, closings again, crashes of files."""

import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from flnb.store import Metrics, StateStore
from flnb.testing.stores import sample_closing, sample_run

ROUNDS = st.integers(1, 5)
RUNS = st.sampled_from(["run001", "run002"])


class StoreAgainstModel(RuleBasedStateMachine):
    """The model: (run, round) → [clients, snapshot] of every closed round."""

    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="flnb-model-"))
        self.model = {}
        self.open()
        for number in (1, 2):
            self.state.create_run(sample_run(f"name-{number}", number=number))

    def open(self):
        self.state = StateStore(self.folder / "state.db")
        self.metrics = Metrics(self.state, self.folder / "metrics.duckdb")

    def close(self):
        self.metrics.close()
        self.state.close()

    def teardown(self):
        self.close()
        shutil.rmtree(self.folder)

    @rule(
        run=RUNS,
        round_=ROUNDS,
        clients=st.integers(0, 3),
        snapshot=st.booleans(),
        apply=st.booleans(),
    )
    def close_round(self, run, round_, clients, snapshot, apply):
        name = f"{run}-{round_}" if snapshot else None
        closing = sample_closing(round_, run=run, clients=clients, snapshot=name)
        closing = self.state.close_round(closing)
        known = self.model.setdefault((run, round_), [clients, name])
        known[1] = known[1] or name
        if apply and known[0] == clients:
            self.metrics.apply([closing])

    @rule()
    def reopen(self):
        self.close()
        self.open()

    @rule()
    def delete_tables(self):
        self.metrics.close()
        (self.folder / "metrics.duckdb").unlink(missing_ok=True)

    @rule()
    def lose_the_log_of_the_tables(self):
        self.metrics.catch_up()
        self.metrics.close()
        (self.folder / "metrics.duckdb").write_bytes(b"torn")

    @invariant()
    def heads_are_the_last_round_and_the_last_snapshot(self):
        for run in ("run001", "run002"):
            rounds = [round_ for (name, round_) in self.model if name == run]
            named = [r for r in rounds if self.model[run, r][1] is not None]
            head = self.state.head(run)
            assert head.round == max(rounds, default=0)
            assert head.snapshot == (f"{run}-{max(named)}" if named else None)

    @rule()
    def tables_tell_what_the_model_knows(self):
        self.metrics.catch_up()
        query = (
            "SELECT id, round, invited, snapshot, count(client) AS n FROM rounds JOIN runs USING (run)"
            " LEFT JOIN updates USING (run, round) GROUP BY ALL"
        )
        found = [tuple(row.values()) for row in self.metrics.query(query)]
        expected = [(*key, n, snapshot, n) for key, (n, snapshot) in self.model.items()]
        assert sorted(found) == sorted(expected)


TestStoreAgainstModel = StoreAgainstModel.TestCase
TestStoreAgainstModel.settings = settings(max_examples=6, stateful_step_count=10, deadline=None)
