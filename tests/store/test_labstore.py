"""A lab's folder as a whole: the suite for stores, and what only the folder shows."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from flnb.core import SecretRoot
from flnb.core.errors import NotFoundError, StoreError
from flnb.store import LabStore
from flnb.testing.stores import StoreSuite, sample_closing, sample_run


class TestLabStore(StoreSuite):
    @pytest.fixture(autouse=True)
    def _server(self, fork_server):
        self.fork_server = fork_server

    def open_store(self, path: Path) -> LabStore:
        return LabStore.open(path, fork_server=self.fork_server)


def test_a_lab_is_a_folder_with_these_files(tmp_path):
    store = LabStore.open(tmp_path / "lab")
    with store.lease():
        store.state.create_run(sample_run())
        store.close_round(sample_closing(1))
        store.history.reset("run001", None)
        store.close()
    files = {path.name for path in store.path.iterdir()}
    assert files == {"state.db", "secret", "lab.lock", ".lock", "metrics.duckdb", "history"}
    assert {path.name for path in tmp_path.iterdir()} == {"lab"}


def test_the_secret_is_made_once_and_for_its_owner_alone(tmp_path):
    store = LabStore.open(tmp_path)
    key = (tmp_path / "secret").read_bytes()
    assert len(key) == 32
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600
    assert LabStore.open(tmp_path).secret.derive(x=1) == SecretRoot(key).derive(x=1)
    assert key.hex() not in repr(store.secret)


def test_a_damaged_secret_is_not_replaced(tmp_path):
    LabStore.open(tmp_path)
    (tmp_path / "secret").write_bytes(b"short")
    with pytest.raises(StoreError, match="5 bytes"):
        _ = LabStore.open(tmp_path).secret
    assert (tmp_path / "secret").read_bytes() == b"short"


def test_a_folder_with_other_things_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(StoreError, match="other things"):
        LabStore.open(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_missing_lab_is_made_only_if_allowed(tmp_path):
    with pytest.raises(NotFoundError, match="lab"):
        LabStore.open(tmp_path / "lab", create=False)
    assert not (tmp_path / "lab").exists()


def test_opening_is_quick(tmp_path):
    LabStore.open(tmp_path).close()
    took = []
    for _ in range(5):
        began = time.perf_counter()
        LabStore.open(tmp_path).close()
        took.append(time.perf_counter() - began)
    assert min(took) < 0.05


def test_a_second_process_asks_while_the_first_writes(tmp_path, interpreters):
    store = LabStore.open(tmp_path)
    with store.lease():
        store.state.create_run(sample_run())
        store.close_round(sample_closing(1))
        ask = (
            "from flnb.store import LabStore; lab = LabStore.open(sys.argv[1]);"
            "lab.state.enqueue_command('run001', 'pause');"
            "tables = lab.reader().__enter__();"
            "print(len(tables.query('FROM rounds')), lab.holder.who)"
        )
        found = interpreters.run(ask, tmp_path)
        assert found.stdout.split() == ["1", "coordinator"]
        assert [command.verb for command in store.state.pending_commands()] == ["pause"]
        store.close()


def test_a_reader_does_not_keep_a_coordinator_from_starting(tmp_path):
    reader, writer = LabStore.open(tmp_path), LabStore.open(tmp_path)
    reader.state.create_run(sample_run())
    with reader.reader() as tables:
        assert len(tables.query("FROM rounds")) == 0
        with writer.lease():
            writer.close_round(sample_closing(1))
            assert len(writer.metrics.query("FROM rounds")) == 1
            writer.close()
    with reader.reader() as tables:
        assert len(tables.query("FROM rounds")) == 1
    assert not (tmp_path / "metrics.duckdb.old").exists()


def test_the_tables_on_the_disk_are_for_the_holder(tmp_path):
    store = LabStore.open(tmp_path)
    with pytest.raises(StoreError, match="does not hold"):
        _ = store.metrics


def test_quick_rounds_go_into_the_tables_together(tmp_path):
    store = LabStore.open(tmp_path)
    with store.lease():
        store.state.create_run(sample_run())
        for number in range(1, 6):
            store.close_round(sample_closing(number))
        assert len(store.metrics.query("FROM rounds")) < 5
        store.close()
        assert len(store.metrics.query("FROM rounds")) == 5
        store.close()


def test_health_names_what_is_wrong(tmp_path):
    store = LabStore.open(tmp_path)
    assert [trouble for trouble in store.health() if "free" not in trouble] == []
    (tmp_path / "secret").chmod(0o644)
    assert "644" in store.health()[0]
    assert store.sizes()["secret"] == 32


def test_a_look_at_the_tables_from_outside_does_not_stop_the_rounds(tmp_path, interpreters):
    store = LabStore.open(tmp_path)
    hold = "import duckdb; c = duckdb.connect(sys.argv[1]); print('open', flush=True); input()"
    with store.lease():
        store.state.create_run(sample_run())
        with interpreters.start(hold, tmp_path / "metrics.duckdb") as other:
            other.stdout.readline()
            assert store.close_round(sample_closing(1)).position == 1
        assert store.catch_up() == 1
        assert len(store.metrics.query("FROM rounds")) == 1
        store.close()


def test_who_let_the_lab_go_is_not_taken_for_its_holder_in_any_thread(tmp_path):
    store = LabStore.open(tmp_path)
    with store.lease():
        store.check_held()
    with ThreadPoolExecutor(1) as other, pytest.raises(StoreError, match="has let lab"):
        other.submit(store.check_held).result()
    with store.lease():
        store.check_held()
    store.close()
