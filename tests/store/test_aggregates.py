"""What a viewer may ask: aggregates, and nothing from which a single client shows."""

import json

import pytest

from flnb.core import Status
from flnb.core.errors import QueryRefusedError
from flnb.store import LabStore, aggregates
from flnb.testing.stores import sample_closing, sample_run


@pytest.fixture(scope="module")
def metrics(tmp_path_factory):
    store = LabStore.open(tmp_path_factory.mktemp("lab"))
    with store.lease():
        run = sample_run()
        store.state.create_run(run)
        store.close_round(sample_closing(1))
        store.state.set_status(run.id, Status.PAUSED, "c001 failed: secret of c001")
        yield store.metrics
        store.close()


@pytest.mark.parametrize("table", ["rounds", "metrics"])
def test_aggregates_are_those_of_the_lab(metrics, table):
    query = f"FROM {table} ORDER BY ALL"
    assert repr(aggregates(metrics, query)) == repr(metrics.query(query))


@pytest.mark.parametrize("table", ["clients", "assignments", "updates"])
def test_tables_of_clients_are_not_there(metrics, table):
    with pytest.raises(QueryRefusedError, match=table) as refused:
        aggregates(metrics, f"SELECT count(*) FROM {table}")
    assert "viewer" in refused.value.hint


def test_no_value_that_is_of_a_client_can_be_found(metrics):
    names = {row["client"] for row in metrics.query("FROM assignments")}
    assert names
    for table in ("runs", "rounds", "metrics", "events"):
        told = json.dumps(aggregates(metrics, f"FROM {table}").df().to_dict(), default=str)
        assert [name for name in [*names, "c001"] if name in told] == [], table


@pytest.mark.parametrize("query", ["FROM pragma_storage_info('updates')", "FROM main.updates"])
def test_there_is_no_way_around(metrics, query):
    with pytest.raises(QueryRefusedError):
        aggregates(metrics, query)


def test_the_bounds_of_a_question_hold(metrics):
    with pytest.raises(QueryRefusedError, match="more than 1 rows"):
        aggregates(metrics, "FROM range(10)", rows=1)
