import csv
import io
import json

import pyarrow as pa


def test_an_answer_is_a_table_of_columns(flnb, lab):
    shown = flnb("sql", "SELECT 1")
    assert [line.split() for line in shown.out.splitlines()] == [
        ["client", "n", "norm"],
        ["c000", "3", "0.500"],
        ["c<1>", "4", "–"],
    ]
    assert shown.err == ""


def test_json_and_csv_are_pure_data(flnb, lab):
    rows = json.loads(flnb("sql", "SELECT 1", "--json").out)
    assert rows == [
        {"client": "c000", "n": 3, "norm": 0.5},
        {"client": "c<1>", "n": 4, "norm": None},
    ]
    read = list(csv.reader(io.StringIO(flnb("sql", "SELECT 1", "--csv").out)))
    assert read == [["client", "n", "norm"], ["c000", "3", "0.5"], ["c<1>", "4", ""]]


def test_limits_reach_the_lab(flnb, lab):
    flnb("sql", "SELECT 1", "--rows", "7", "--timeout", "0.5")
    assert lab.asked == [("SELECT 1", 7, 0.5)]


def test_a_query_is_read_from_stdin(flnb, lab, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("SELECT 2"))
    flnb("sql", "-")
    assert lab.asked[0][0] == "SELECT 2"


def test_one_format_at_a_time(flnb, lab):
    assert flnb("sql", "SELECT 1", "--json", "--csv").code == 2


def test_long_values_are_not_cut_off_in_a_pipe(flnb, lab):
    lab.answer = pa.table({"detail": ["x" * 500], "n": [1]})
    assert "x" * 500 in flnb("sql", "SELECT 1").out


def test_an_answer_without_rows_has_its_heads(flnb, lab):
    lab.answer = pa.table({"client": pa.array([], pa.string())})
    assert flnb("sql", "SELECT 1").out.strip() == "client"
    assert flnb("sql", "SELECT 1", "--json").out == "[]\n"
