"""Tables as files: a piece at a time, whole or not at all."""

import pyarrow as pa
import pytest
from pyarrow import parquet

from flnb.core.errors import QueryRefusedError
from flnb.store.exporting import write_parquet
from flnb.store.place import HistoryPlace
from flnb.store.select_only import BATCH_ROWS, locked_down, stream

SCHEMA = pa.schema([("round", pa.int64())])


def rows_of(pieces):
    return pa.RecordBatchReader.from_batches(SCHEMA, pieces)


def piece(*rounds):
    return pa.record_batch({"round": pa.array(rounds, pa.int64())})


def torn():
    yield piece(1, 2)
    raise RuntimeError("the query ends in the middle")


def test_an_export_that_fails_leaves_the_file_of_before_and_nothing_else(tmp_path):
    file = HistoryPlace(tmp_path / "rounds.parquet")
    assert write_parquet(rows_of([piece(1), piece(2, 3)]), file) == 3
    with pytest.raises(RuntimeError, match="in the middle"):
        write_parquet(rows_of(torn()), file)
    assert parquet.read_table(file.folder)["round"].to_pylist() == [1, 2, 3]
    assert list(tmp_path.iterdir()) == [file.folder]


def test_an_answer_of_any_size_comes_in_pieces():
    cursor = locked_down(":memory:").cursor()
    ask = f"SELECT * FROM range({3 * BATCH_ROWS + 1})"
    sizes = stream(cursor, ask, lambda reader: [len(batch) for batch in reader], timeout_s=10)
    assert sum(sizes) == 3 * BATCH_ROWS + 1
    assert max(sizes) <= BATCH_ROWS


def test_an_answer_in_pieces_ends_in_time_too():
    cursor = locked_down(":memory:").cursor()
    with pytest.raises(QueryRefusedError, match="longer than"):
        stream(cursor, "SELECT * FROM range(100000000000)", count, timeout_s=0.2)


def count(reader):
    return sum(len(batch) for batch in reader)
