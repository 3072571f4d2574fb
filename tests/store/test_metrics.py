"""The projection: made from closings, never twice, and again from nothing."""

import itertools
import os
import threading

import duckdb
import pytest

from flnb.core import Status
from flnb.core.errors import QueryRefusedError, StorageFullError, StoreError
from flnb.store import TABLES, Metrics, Operation, StateStore
from flnb.testing.stores import sample_closing, sample_run


@pytest.fixture
def state(tmp_path):
    store = StateStore(tmp_path / "state.db")
    store.create_run(sample_run())
    yield store
    store.close()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "metrics.duckdb"


@pytest.fixture
def metrics(state, path):
    tables = Metrics(state, path)
    yield tables
    tables.close()


def contents(metrics):
    return {spec.name: sorted(map(repr, metrics.query(f"FROM {spec.name}"))) for spec in TABLES}


def test_every_column_is_described_here_and_in_the_database(metrics):
    query = "SELECT table_name, column_name, comment FROM duckdb_columns() WHERE schema_name = 'main' AND NOT internal"
    found = {
        (row["table_name"], row["column_name"]): row["comment"] for row in metrics.query(query)
    }
    described = {
        (spec.name, column.name): column.description for spec in TABLES for column in spec.columns
    }
    assert found == described
    assert all(len(text) > 5 and not text.endswith(".") for text in described.values())
    comments = {row["comment"] for row in metrics.query("SELECT comment FROM duckdb_tables()")}
    assert {spec.description for spec in TABLES} <= comments


def test_closings_are_applied_once_in_any_mixture(state, metrics):
    first, second = (state.close_round(sample_closing(number)) for number in (1, 2))
    metrics.apply([first, first])
    metrics.apply([second, first])
    metrics.apply([])
    assert len(metrics.query("FROM rounds")) == 2
    assert len(metrics.query("FROM updates")) == 6


def test_tables_speak_of_runs_by_name(state, metrics):
    metrics.apply([state.close_round(sample_closing(1))])
    others = {"clients", "operations", "studies", "study_cells"}
    of_runs = [spec for spec in TABLES if spec.name not in others]
    for spec in of_runs:
        assert {row["run"] for row in metrics.query(f"SELECT run FROM {spec.name}")} == {
            "quiet-otter"
        }


def test_operations_are_in_the_tables_once_also_of_a_file_that_was_there(state, metrics, path):
    moment = state.run("quiet-otter").created_at
    state.append_operation(Operation(moment, "ada", "pause", "run001", "lunch", {"a": 1}))
    state.append_operation(Operation(moment, "ada", "freed"))
    query = "SELECT position, actor, verb, run, branch, reason, details FROM operations"
    assert [tuple(row.values()) for row in metrics.query(query)] == [
        (1, "ada", "pause", "quiet-otter", "main", "lunch", '{"a": 1}'),
        (2, "ada", "freed", None, None, "", "{}"),
    ]
    metrics.close()
    state.append_operation(Operation(moment, "eve", "resume", "run001"))
    again = Metrics(state, path)
    assert again.query("SELECT position FROM operations").df()["position"].tolist() == [1, 2, 3]
    again.close()


def test_a_snapshot_that_comes_later_is_filled_in(state, metrics):
    metrics.apply([state.close_round(sample_closing(1))])
    metrics.apply([state.close_round(sample_closing(1, snapshot="s1"))])
    (row,) = metrics.query("SELECT snapshot, parameters_sha256 FROM rounds")
    assert row == {"snapshot": "s1", "parameters_sha256": "sha-s1"}
    assert metrics.catch_up() == 0


def test_closings_that_were_left_out_are_caught_up_with(state, metrics):
    closings = [state.close_round(sample_closing(number)) for number in range(1, 8)]
    metrics.apply([closings[1], closings[4]])
    assert metrics.catch_up() == 5
    assert len(metrics.query("FROM rounds")) == 7
    assert metrics.catch_up() == 0


def test_the_status_of_a_run_is_the_present_one(state, metrics):
    for status in (Status.RUNNING, Status.PAUSED):
        state.set_status("run001", status)
        assert next(iter(metrics.query("SELECT status FROM runs")))["status"] == status


def test_what_is_in_the_file_is_there_after_reopening(state, metrics, path):
    metrics.apply([state.close_round(sample_closing(1))])
    before = contents(metrics)
    metrics.close()
    again = Metrics(state, path)
    assert again.catch_up() == 0
    assert contents(again) == before
    again.close()


def test_a_deleted_file_is_made_anew_with_the_same_rows(state, metrics, path):
    for number in range(1, 4):
        metrics.apply([state.close_round(sample_closing(number))])
    before = contents(metrics)
    metrics.close()
    path.unlink()
    assert metrics.catch_up() == 3
    assert contents(metrics) == before


@pytest.mark.parametrize("damage", ["head", "middle", "short", "text"])
def test_a_damaged_file_is_set_aside_and_made_anew(state, metrics, path, damage):
    metrics.apply(
        [state.close_round(sample_closing(number, clients=500)) for number in range(1, 5)]
    )
    before = contents(metrics)
    metrics.close()
    whole = path.read_bytes()
    half = len(whole) // 2
    path.write_bytes(
        {
            "head": os.urandom(12288) + whole[12288:],
            "middle": whole[:half] + os.urandom(len(whole) - half),
            "short": whole[:half],
            "text": b"dear diary",
        }[damage]
    )
    metrics.catch_up()
    assert contents(metrics) == before
    assert path.with_name("metrics.duckdb.old").exists()


def test_tables_of_another_lab_are_not_taken_for_these(state, metrics, path, tmp_path):
    other = StateStore(tmp_path / "other.db")
    other.create_run(sample_run("calm-fox"))
    strangers = Metrics(other, path)
    strangers.apply([other.close_round(sample_closing(1))])
    strangers.close()
    assert metrics.catch_up() == 0
    assert len(metrics.query("FROM rounds")) == 0


def test_tables_in_memory_touch_no_file(state, path):
    tables = Metrics(state)
    state.close_round(sample_closing(1))
    assert tables.catch_up() == 1
    assert len(tables.query("FROM rounds")) == 1
    tables.close()
    assert not path.exists()


def test_a_question_during_writing_sees_whole_rounds_only(state, metrics):
    closings = [state.close_round(sample_closing(number)) for number in range(1, 21)]
    seen, over = [], threading.Event()

    def ask():
        query = "SELECT count(*) AS n, count(DISTINCT round) AS rounds FROM updates"
        while not over.is_set():
            seen.append(next(iter(metrics.query(query))))

    asking = threading.Thread(target=ask)
    asking.start()
    for closing in closings:
        metrics.apply([closing])
    over.set()
    asking.join()
    assert seen
    assert all(row["n"] == 3 * row["rounds"] for row in seen)


def test_a_long_question_does_not_hold_up_the_writing(state, metrics):
    endless = "SELECT count(*) FROM range(10000000) a, range(10000000) b WHERE a.range <> b.range"

    def ask(for_s):
        with pytest.raises(QueryRefusedError):
            metrics.query(endless, timeout_s=for_s)

    numbers = itertools.count(1)
    for for_s in (2, 10, 50):  # a slow machine may need longer than a short question
        asking = threading.Thread(target=ask, args=(for_s,))
        asking.start()
        written = [next(numbers) for _ in range(5)]
        for number in written:
            metrics.apply([state.close_round(sample_closing(number))])
        beside = asking.is_alive()
        asking.join()
        if beside:
            break
    assert beside
    assert len(metrics.query("FROM rounds")) == written[-1]


def test_the_tables_are_closed_also_while_somebody_asks(metrics):
    asked, answers = threading.Event(), []

    def take(batches):
        asked.set()
        answers.append(sum(len(batch) for batch in batches))

    long = "SELECT a.range FROM range(3000) a, range(3000) b"
    asking = threading.Thread(target=lambda: metrics.stream(long, take, timeout_s=60))
    asking.start()
    asked.wait(30)
    metrics.close()
    asking.join(60)
    assert answers == [9_000_000]
    assert len(metrics.query("FROM rounds")) == 0, "the next one opens them again"


def test_a_file_that_another_program_has_open_is_not_set_aside(state, metrics, path, interpreters):
    metrics.catch_up()
    metrics.close()
    hold = "import duckdb; c = duckdb.connect(sys.argv[1]); print('open', flush=True); input()"
    with interpreters.start(hold, path) as other:
        assert other.stdout.readline() == "open\n"
        with pytest.raises(StoreError, match="open in another program"):
            metrics.catch_up()
    assert metrics.catch_up() == 0
    assert not path.with_name("metrics.duckdb.old").exists()


@pytest.mark.parametrize("way", ["same process", "new process", "lost file"])
def test_rounds_that_were_taken_back_leave_the_tables(state, metrics, path, way):
    late = [state.close_round(sample_closing(number)) for number in (1, 2, 3)]
    metrics.apply(late[:2])
    state.set_plan("run001", "new", "new", forget_after=1)
    if way != "same process":
        metrics.close()
    if way == "lost file":
        path.unlink()
    metrics.apply(late[1:])  # they waited when they were taken back
    metrics.catch_up()
    assert [row["round"] for row in metrics.query("SELECT round FROM rounds")] == [1]
    metrics.apply([state.close_round(sample_closing(2, clients=5))])
    query = "SELECT round, count(*) AS n FROM updates GROUP BY round ORDER BY round"
    assert [tuple(row.values()) for row in metrics.query(query)] == [(1, 3), (2, 5)]
    assert metrics.catch_up() == 0


@pytest.mark.parametrize(
    ("trouble", "error"),
    [("Permission denied", StoreError), ("No space left on device", StorageFullError)],
)
def test_a_file_that_cannot_be_opened_is_not_set_aside(metrics, path, monkeypatch, trouble, error):
    metrics.catch_up()
    metrics.close()

    def refused(*_, **__):
        raise duckdb.IOException(f"Cannot open file {path}: {trouble}")

    with monkeypatch.context() as patch:
        patch.setattr("flnb.store.tables_file.locked_down", refused)
        with pytest.raises(error):
            metrics.catch_up()
    assert metrics.catch_up() == 0
    assert not path.with_name("metrics.duckdb.old").exists()


@pytest.mark.parametrize("kind", [duckdb.InternalException, duckdb.IOException, duckdb.Error])
def test_a_query_that_raises_does_not_make_a_sound_file_anew(
    state, metrics, path, monkeypatch, kind
):
    metrics.apply([state.close_round(sample_closing(1))])

    def fails(*_, **__):
        raise kind("of the query")

    with monkeypatch.context() as patch:
        patch.setattr("flnb.store.metrics.select", fails)
        with pytest.raises(QueryRefusedError, match="of the query"):
            metrics.query("FROM rounds")
    assert len(metrics.query("FROM rounds")) == 1
    assert not path.with_name("metrics.duckdb.old").exists()
