# ruff: noqa: D102  the names of the tests are their sentences
"""What every store of a lab must do, as a suite to inherit.

class TestMyStore(StoreSuite):
    def open_store(self, path):
        return MyStore(path)

A store has `state`, `history`, `writer`, `lease`, `close_round`, `catch_up`, `metrics`, `reader`
and `close`, as `flnb.store.LabStore` has them.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flnb.core import RunId, Status
from flnb.core.errors import LabHeldError, NotFoundError, QueryRefusedError, StoreError
from flnb.store import Closing, RunRecord

MOMENT = datetime(2026, 3, 29, 1, 30, 0, 123456, tzinfo=UTC)
"""A time with microseconds, in a night in which clocks are changed."""


def sample_run(name: str = "quiet-otter", *, number: int = 1) -> RunRecord:
    """Make a run; `number` tells several apart."""
    return RunRecord(
        id=RunId(f"run{number:03d}"),
        name=name,
        plan_yaml="rounds: 3\n",
        plan_hash="0123456789abcdef",
        task_name="digits",
        task_ref={"use": "flnb.tasks:digits", "with": {"clients": 20}},
        fingerprint={"code": "a", "data": "b", "layout": "c"},
        created_at=MOMENT + timedelta(seconds=number),
        updated_at=MOMENT + timedelta(seconds=number),
    )


def sample_closing(
    round_: int, *, run: str = "run001", clients: int = 3, snapshot: str | None = None
) -> Closing:
    """Make the closing of a round; equal arguments make equal closings."""
    names = [f"c{client:03d}" for client in range(clients)]
    values = np.arange(clients) + round_ / 8
    return Closing(
        run=RunId(run),
        round=round_,
        closed_by="all answered",
        opened_at=MOMENT + timedelta(minutes=round_),
        closed_at=MOMENT + timedelta(minutes=round_, seconds=2.5),
        seconds_s=2.5,
        invited=clients,
        accepted=clients,
        bytes_up=1000 * clients,
        snapshot=snapshot,
        parameters_sha256=None if snapshot is None else f"sha-{snapshot}",
        metrics={
            "scope": ["central", "training"],
            "metric": ["accuracy", "loss"],
            "value": [1 - 1 / (1 + round_), float("nan")],
        },
        assignments={"client": names, "outcome": ["accepted"] * clients},
        updates={
            "client": np.array(names, dtype=object),
            "n_examples": np.arange(clients, dtype=np.int64),
            "weight": values,
            "loss": values,
            "norm": values,
            "bytes_up": np.full(clients, 1000),
            "arrived_s": values,
            "train_s": values,
            "accepted": np.ones(clients, dtype=bool),
        },
        events={"position": [0], "kind": ["round_complete"], "client": [""], "detail": ["all"]},
    )


def sample_groups(seed: int = 0) -> dict[str, np.ndarray]:
    """Make the groups of a version, with everything that is easily lost on the way."""
    random = np.random.Generator(np.random.Philox(seed))
    parameters = random.standard_normal(300_000, dtype=np.float32)
    parameters[:4] = [-0.0, float("nan"), float("inf"), 1e-45]
    return {
        "parameters": parameters,
        "integers": np.array([-(2**63), 2**63 - 1]),
        "optimiser": np.frombuffer(b"packed state", dtype=np.uint8),
        "strategy": np.zeros(0, dtype=np.uint8),
    }


def same_bits(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    """Whether two versions are equal bit for bit."""
    return one.keys() == other.keys() and all(
        one[name].dtype == other[name].dtype and one[name].tobytes() == other[name].tobytes()
        for name in one
    )


def _without_columns(closing: Closing) -> Closing:
    return replace(closing, metrics={}, assignments={}, updates={}, events={})


class StoreSuite:
    """Inherit this and say how your store is opened."""

    def open_store(self, path: Path) -> Any:
        raise NotImplementedError("a store's suite says how the store is opened")

    @pytest.fixture
    def store(self, tmp_path: Path, request: pytest.FixtureRequest) -> Any:
        store = self.open_store(tmp_path / "lab")
        request.addfinalizer(store.lease("suite").release)
        request.addfinalizer(store.close)  # noqa: PT021  # a checked `yield` fixture is no generator
        return store

    @pytest.fixture
    def run(self, store: Any) -> RunRecord:
        record = sample_run()
        store.state.create_run(record)
        return record

    def test_a_run_is_read_back_as_it_was_written(self, store: Any, run: RunRecord) -> None:
        assert store.state.run(run.name) == run
        assert store.state.run(run.id) == run
        assert store.state.runs() == [run]

    def test_an_unknown_run_names_the_nearest(self, store: Any, run: RunRecord) -> None:
        with pytest.raises(NotFoundError, match=run.name):
            store.state.run("quiet-oter")

    def test_a_name_is_given_once(self, store: Any, run: RunRecord) -> None:
        with pytest.raises(StoreError, match="already"):
            store.state.create_run(replace(run, id=RunId("other")))
        assert store.state.runs() == [run]

    def test_runs_that_were_going_on_are_interrupted(self, store: Any, run: RunRecord) -> None:
        other = sample_run("calm-fox", number=2)
        store.state.create_run(other)
        store.state.set_status(other.id, Status.FINISHED)
        store.state.interrupted()
        assert store.state.run(run.id).status is Status.INTERRUPTED
        assert store.state.run(other.id).status is Status.FINISHED

    def test_a_closing_is_read_back_as_it_was_written(self, store: Any, run: RunRecord) -> None:
        written = sample_closing(1, snapshot="s1")
        position = store.state.close_round(written).position
        read = store.state.closing(run.id, 1)
        for name in ("metrics", "assignments", "updates", "events"):
            for column, values in getattr(written, name).items():
                np.testing.assert_array_equal(getattr(read, name)[column], np.asarray(values))
        assert _without_columns(read) == _without_columns(replace(written, position=position))

    def test_a_round_is_closed_once(self, store: Any, run: RunRecord) -> None:
        first = store.state.close_round(sample_closing(1, clients=3))
        again = store.state.close_round(sample_closing(1, clients=5))
        assert again.position == first.position
        assert [closing.invited for closing in store.state.closings()] == [3]

    def test_a_snapshot_is_filled_in_once(self, store: Any, run: RunRecord) -> None:
        store.state.close_round(sample_closing(1))
        store.state.close_round(sample_closing(1, snapshot="s1"))
        store.state.close_round(sample_closing(1, snapshot="s2"))
        assert store.state.closing(run.id, 1).snapshot == "s1"
        assert store.state.head(run.id).closing.parameters_sha256 == "sha-s1"

    def test_a_filled_closing_comes_once_more_to_followers(
        self, store: Any, run: RunRecord
    ) -> None:
        store.state.close_round(sample_closing(1))
        seen = store.state.close_round(sample_closing(2)).position
        store.state.close_round(sample_closing(1, snapshot="s1"))
        assert [closing.round for closing in store.state.closings(after=seen)] == [1]

    def test_the_head_never_moves_back(self, store: Any, run: RunRecord) -> None:
        assert (store.state.head(run.id).round, store.state.head(run.id).snapshot) == (0, None)
        for closing in (
            sample_closing(1, snapshot="s1"),
            sample_closing(2),
            sample_closing(1, snapshot="s0"),
        ):
            store.state.close_round(closing)
        head = store.state.head(run.id)
        assert (head.round, head.snapshot, head.closing.round) == (2, "s1", 1)

    def test_closing_a_round_forgets_its_journal(self, store: Any, run: RunRecord) -> None:
        store.state.journal(run.id, 1, 0, "assigned", {"clients": np.arange(2)})
        store.state.journal(run.id, 1, 0, "answered", {"loss": [0.5, float("inf")]})
        kinds = [(step.kind, step.payload) for step in store.state.journal_of_open_round(run.id)]
        assert kinds == [("assigned", {"clients": [0, 1]}), ("answered", {"loss": [0.5, np.inf]})]
        store.state.close_round(sample_closing(1))
        assert store.state.journal_of_open_round(run.id) == []

    def test_a_failed_attempt_is_kept_and_its_journal_is_not(
        self, store: Any, run: RunRecord
    ) -> None:
        store.state.journal(run.id, 1, 0, "assigned", {})
        for _ in range(2):
            store.state.record_attempt(run.id, 1, 0, {"lost": 2}, {1: "no answer"})
        (failed,) = store.state.attempts(run.id)
        assert (failed.counts, failed.reasons) == ({"lost": 2}, {1: "no answer"})
        assert store.state.failed_attempts(run.id) == {1: 1}
        assert store.state.journal_of_open_round(run.id) == []

    def test_commands_wait_until_they_are_answered(self, store: Any, run: RunRecord) -> None:
        asked = store.state.enqueue_command(run.id, "pause")
        assert store.state.pending_commands() == [asked]
        assert store.state.begin_command(asked.id)
        store.state.finish_command(asked.id, "passed on")
        assert store.state.pending_commands() == []
        assert store.state.command(asked.id).result == "passed on"

    def test_a_version_is_read_back_bit_for_bit(self, store: Any, run: RunRecord) -> None:
        groups = sample_groups()
        snapshot = store.writer.submit(run.id, groups, {"round": 1}).wait(60)
        assert same_bits(store.history.read(snapshot), groups)
        assert store.history.meta(snapshot)["round"] == 1

    def test_old_versions_stay(self, store: Any, run: RunRecord) -> None:
        versions = [sample_groups(seed) for seed in range(3)]
        for version in versions[1:]:
            version["parameters"][:262_144] = versions[0]["parameters"][:262_144]
        snapshots = [store.writer.submit(run.id, version, {}).wait(60) for version in versions]
        for snapshot, version in zip(snapshots, versions, strict=True):
            assert same_bits(store.history.read(snapshot), version)

    def test_a_reset_leaves_the_named_version_and_goes_on_from_it(
        self, store: Any, run: RunRecord
    ) -> None:
        named = store.writer.submit(run.id, sample_groups(1), {}).wait(60)
        store.writer.submit(run.id, sample_groups(2), {}).wait(60)
        store.writer.reset(run.id, named)
        groups = sample_groups(1)
        groups["parameters"][-1] += 1
        after = store.writer.submit(run.id, groups, {}).wait(60)
        assert same_bits(store.history.read(named), sample_groups(1))
        assert same_bits(store.history.read(after), groups)

    def test_an_unknown_version_is_not_found(self, store: Any, run: RunRecord) -> None:
        store.writer.submit(run.id, sample_groups(), {}).wait(60)
        with pytest.raises(NotFoundError):
            store.history.read("AAAAAAAAAAAAAAAAAAA0")

    def test_closed_rounds_are_in_the_tables(self, store: Any, run: RunRecord) -> None:
        for number in (1, 2, 2):
            store.close_round(sample_closing(number))
        store.catch_up()
        counts = {
            table: next(iter(store.metrics.query(f"SELECT count(*) AS n FROM {table}")))["n"]  # noqa: S608  # two fixed names
            for table in ("runs", "rounds", "assignments", "updates", "metrics", "events")
        }
        expected = {"runs": 1, "rounds": 2, "assignments": 6, "updates": 6, "metrics": 4}
        assert counts == expected | {"events": 2}

    def test_the_tables_cannot_be_changed(self, store: Any, run: RunRecord) -> None:
        with pytest.raises(QueryRefusedError):
            store.metrics.query("DELETE FROM runs")
        assert len(store.metrics.query("SELECT * FROM runs")) == 1

    def test_one_process_holds_the_lab(self, store: Any, tmp_path: Path) -> None:
        with pytest.raises(LabHeldError, match="suite"):
            self.open_store(tmp_path / "lab").lease()

    def test_everything_is_there_after_reopening(
        self, store: Any, run: RunRecord, tmp_path: Path
    ) -> None:
        snapshot = store.writer.submit(run.id, sample_groups(), {}).wait(60)
        store.close_round(sample_closing(1, snapshot=snapshot))
        store.close()
        other = self.open_store(tmp_path / "lab")
        assert other.id == store.id
        assert other.state.head(run.id).snapshot == snapshot
        with other.reader() as tables:
            assert len(tables.query("SELECT * FROM rounds")) == 1
        assert same_bits(other.history.read(snapshot), sample_groups())
        other.close()
