"""Tables as Parquet files in a folder and in S3; other programs read them."""

from io import BytesIO

import numpy as np
import pytest
from pyarrow import parquet

import flnb
from flnb import tasks
from flnb.core.errors import NotFoundError, StorageUnreachableError, StoreError


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    with flnb.Coordinator(tmp_path_factory.mktemp("exported") / "lab") as coordinator:
        task = tasks.digits(model="softmax", split=flnb.IID(clients=4, seed=0))
        coordinator.simulate(task, workers=0)
        coordinator.run(flnb.Plan(rounds=3, invite=2, seed=1), task, name="otter").wait(60)
        yield coordinator.lab


def test_every_table_is_a_file_that_others_can_read(lab, tmp_path):
    written = lab.export_metrics(tmp_path / "out").df()
    for name, rows, file in written.itertuples(index=False):
        assert parquet.read_table(file).num_rows == rows == len(lab.sql(f"SELECT * FROM {name}"))
    assert {"rounds", "metrics", "clients"} < set(written["table"])
    rounds = parquet.read_table(tmp_path / "out" / "rounds.parquet").to_pandas()
    assert rounds["round"].tolist() == [1, 2, 3]
    assert not list((tmp_path / "out").glob(".*"))


def test_tables_go_to_a_bucket_with_the_same_rows(lab, place, server):
    (row,) = lab.export_metrics(f"{place}/reports", ["rounds"])
    assert row == {"table": "rounds", "rows": 3, "file": f"{place}/reports/rounds.parquet"}
    client = server.client()
    key = f"{place.prefix}/reports/rounds.parquet"
    body = client.get_object(Bucket=place.bucket, Key=key)["Body"].read()
    client.close()
    rounds = parquet.read_table(BytesIO(body)).to_pandas()
    assert np.array_equal(rounds["round"], [1, 2, 3])


def test_what_cannot_be_exported_is_said(lab, place, line, tmp_path):
    with pytest.raises(NotFoundError, match="did you mean 'rounds'"):
        lab.export_metrics(tmp_path, ["ruonds"])
    with pytest.raises(NotFoundError, match="no bucket"):
        lab.export_metrics("s3://no-such-bucket/x", ["rounds"])
    (tmp_path / "file").write_text("mine")
    with pytest.raises(StoreError, match="cannot be written"):
        lab.export_metrics(tmp_path / "file", ["rounds"])
    line.cut()
    with pytest.raises(StorageUnreachableError):
        lab.export_metrics(str(place), ["rounds"])
