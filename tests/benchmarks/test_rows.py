"""A row of figures: medians beside the peer, and whether the bar was met."""

import json

import numpy as np
import pytest

from benchmarks.rows import Row, as_json, as_table

KEYS = {"name", "value", "unit", "peer", "peer_value", "ratio", "bar", "ok"}


def test_a_row_holds_medians_and_their_ratio():
    row = Row.of("sum", [2.0, 9.0, 1.0], "GB/s", peer="memcpy", peer_values=[8.0, 8.0])
    assert (row.value, row.peer_value, row.ratio) == (2.0, 8.0, 0.25)
    assert row.spread == "1 – 9 of 3"


@pytest.mark.parametrize(
    ("bar", "met"), [(">= 1.5", True), (">= 2.5", False), ("<= 0.3", False), ("", None)]
)
def test_a_bar_is_met_or_not(bar, met):
    assert Row.of("sum", [2.0], "GB/s", bar=bar).ok is met


def test_a_row_without_a_peer_says_so():
    row = Row.of("sum", [2.0], "GB/s")
    assert (row.peer, row.peer_value, row.ratio) == ("none", None, None)


def test_written_rows_have_the_agreed_keys_and_say_where_they_come_from():
    (written,) = as_json([Row.of("sum", [2.0], "GB/s")])
    assert written.keys() >= KEYS
    assert "cores" in written["machine"]
    assert written["commit"]


def test_figures_that_numpy_made_can_be_written():
    row = Row.of("rounds", [np.int64(3)], "", peer_values=[np.float32(2)], bar=">= 2")
    (written,) = json.loads(json.dumps(as_json([row])))
    assert (written["value"], written["peer_value"], written["ok"]) == (3.0, 2.0, True)


def test_a_missed_bar_is_seen_in_the_table():
    table = as_table([Row.of("sum", [2.0], "GB/s", bar=">= 2.5")])
    assert "| sum | 2 GB/s |" in table
    assert table.endswith("| >= 2.5 | NO |")
