"""Answers as tables: how they look, and what they turn into."""

from datetime import UTC, datetime

import pyarrow as pa
import pytest

from flnb.core.errors import QueryRefusedError
from flnb.store import Table


def test_a_long_table_shows_its_first_rows_and_a_count():
    shown = repr(Table.of({"round": list(range(1000)), "loss": [1 / 3] * 1000}))
    assert len(shown.splitlines()) == 1 + 8 + 1
    assert "0.33333" in shown
    assert shown.endswith("1,000 rows, the first 8 shown")


def test_a_table_whose_newest_rows_stand_last_can_show_those():
    table = Table.of({"round": list(range(1000))}).ending()
    lines = repr(table).splitlines()
    assert (lines[1].strip(), lines[8].strip()) == ("992", "999")
    assert lines[-1] == "1,000 rows, the last 8 shown"
    assert repr(Table.of({"round": [1]}).ending()).splitlines()[-1] == "1 row"


def test_an_empty_table_shows_its_columns():
    assert repr(Table.of({"round": [], "loss": []})).split() == ["round", "loss", "0", "rows"]


def test_html_escapes_what_clients_call_themselves():
    html = Table.of({"client": ["<script>alert(1)</script>"]})._repr_mimebundle_()["text/html"]
    assert "<script>" not in html


def test_a_traceback_is_shown_on_one_line():
    shown = repr(Table.of({"reason": ["Traceback\n  File x\n" + "y" * 100]}))
    assert len(shown.splitlines()) == 3
    assert len(shown.splitlines()[1]) == 40


def test_times_keep_their_zone_on_the_way_to_pandas():
    table = Table.of({"closed_at": [datetime(2026, 3, 29, 1, 30, tzinfo=UTC), None]})
    frame = table.df()
    assert str(frame["closed_at"].dt.tz) == "UTC"
    assert frame["closed_at"].isna().tolist() == [False, True]


def test_rows_are_dictionaries():
    table = Table.of({"round": [1, 2], "loss": [0.5, None]})
    assert list(table) == [{"round": 1, "loss": 0.5}, {"round": 2, "loss": None}]
    assert (len(table), table.columns) == (2, ["round", "loss"])
    assert table.arrow().num_rows == 2


@pytest.mark.parametrize(
    "column",
    [
        pa.array([1, 2**31 - 1], pa.date32()),
        pa.array([[2**31 - 1]], pa.list_(pa.date32())),
        pa.array([86_400_000_000], pa.time64("us")),
    ],
)
def test_a_date_that_python_has_not_is_refused_with_what_to_ask_for_and_still_shown(column):
    table = Table.of({"n": range(len(column)), "day": column})
    with pytest.raises(QueryRefusedError, match="CAST"):
        table.df()
    assert "day" in repr(table)
    assert len(repr(table).splitlines()) == 2 + len(column)


def test_rows_with_an_infinite_date_are_refused_in_words():
    table = Table.of({"day": pa.array([2**31 - 1], pa.date32())})
    with pytest.raises(QueryRefusedError, match="CAST"):
        list(table)
    with pytest.raises(QueryRefusedError, match="CAST"):
        table.rows()
    assert "beyond Python's dates" in repr(table)
