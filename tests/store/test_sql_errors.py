"""What is wrong with a query is said in words of flnb, with the nearest name."""

import pytest

from flnb.core.errors import QueryRefusedError
from flnb.store import LabStore


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    store = LabStore.open(tmp_path_factory.mktemp("lab"))
    with store.lease():
        yield store
    store.close()


@pytest.mark.parametrize(
    ("query", "message", "hint"),
    [
        ("FROM roundz", "no table 'roundz'", "did you mean 'rounds'?"),
        ("FROM x.y", "no table 'x.y'", "there is: assignments, clients, events, metrics, "),
        ("SELECT metrik FROM metrics", "no column 'metrik' in metrics", "did you mean 'metric'?"),
        ("SELECT m.valu FROM metrics m", "no column 'valu' in metrics", "did you mean 'value'?"),
        ("SELECT zz FROM rounds", "no column 'zz' in rounds", "there is: "),
        ("SELECT m.run FROM rounds r", "the query names no table 'm' after FROM", "there is: r"),
        ("SELECT flor(round) FROM rounds", "no function flor()", "did you mean 'floor'?"),
        (
            "SELECT round FROM rounds, metrics",
            "several tables have a column 'round'",
            "write rounds.round or metrics.round",
        ),
        ("SELECT * FRM rounds", "the query cannot be read at 'rounds'", "it is SQL of DuckDB"),
        ("SELECT CAST('x' AS INT)", "Could not convert string 'x' to INT32", ""),
    ],
)
def test_the_words_are_ours_and_the_nearest_name_is_offered(lab, query, message, hint):
    with pytest.raises(QueryRefusedError) as refused:
        lab.metrics.query(query)
    assert refused.value.message == message
    assert refused.value.hint.startswith(hint)
