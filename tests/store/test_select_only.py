"""What people may ask: nothing but the tables, nothing for ever, and the next question works."""

import pyarrow as pa
import pytest

from flnb.core.errors import QueryRefusedError
from flnb.store import LabStore, select_only
from flnb.testing.stores import sample_closing, sample_run


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    store = LabStore.open(tmp_path_factory.mktemp("lab"))
    with store.lease():
        store.state.create_run(sample_run())
        store.close_round(sample_closing(1))
        yield store
        store.close()


READS = [
    "SELECT * FROM read_text('{secret}')",
    "SELECT * FROM read_blob('{secret}')",
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM read_json_auto('/etc/passwd')",
    "SELECT * FROM read_parquet('{secret}')",
    "SELECT * FROM sniff_csv('/etc/passwd')",
    "SELECT * FROM '{secret}'",
    "SELECT * FROM '/etc/passwd.csv'",
    "SELECT * FROM glob('{folder}/*')",
    "SELECT * FROM read_duckdb('{folder}/state.db')",
    "SELECT * FROM sqlite_scan('{folder}/state.db', 'runs')",
    "SELECT * FROM 'https://example.org/x.csv'",
    "SELECT * FROM query('SELECT 1')",
    "SELECT * FROM query_table('runs')",
    "SELECT * FROM json_execute_serialized_sql(json_serialize_sql('SELECT 1'))",
    "SELECT * FROM duckdb_secrets()",
    "SELECT getenv('HOME')",
]


@pytest.mark.parametrize("query", READS)
def test_nothing_outside_the_tables_can_be_read(lab, query):
    query = query.format(secret=lab.path / "secret", folder=lab.path)
    with pytest.raises(QueryRefusedError) as refused:
        lab.metrics.query(query)
    assert (lab.path / "secret").read_bytes().hex() not in str(refused.value)
    assert len(lab.metrics.query("FROM rounds")) == 1


def test_python_variables_cannot_be_read(lab, monkeypatch):
    monkeypatch.setattr(select_only, "my_table", pa.table({"x": [1]}), raising=False)
    with pytest.raises(QueryRefusedError, match="my_table"):
        lab.metrics.query("FROM my_table")


WRITES = [
    "DELETE FROM runs",
    "INSERT INTO metrics (run) VALUES ('x')",
    "WITH gone AS (DELETE FROM rounds RETURNING *) SELECT * FROM gone",
    "WITH new AS (INSERT INTO rounds (run) VALUES ('x') RETURNING *) SELECT * FROM new",
    "DROP TABLE rounds",
    "CREATE TABLE t AS SELECT 1",
    "CREATE TEMP TABLE t AS SELECT 1",
    "CREATE MACRO f() AS 1",
    "COPY runs TO '{folder}/stolen.csv'",
    "COPY (SELECT 1) TO '{folder}/stolen.parquet'",
    "EXPORT DATABASE '{folder}/stolen'",
    "ATTACH ':memory:' AS other",
    "ATTACH '{folder}/state.db'",
    "PRAGMA database_list",
    "SET memory_limit = '100GB'",
    "SET enable_external_access = true",
    "RESET lock_configuration",
    "INSTALL httpfs",
    "LOAD httpfs",
    "CALL pragma_version()",
    "CHECKPOINT",
    "BEGIN TRANSACTION",
    "EXPLAIN ANALYZE DELETE FROM runs",
    "PREPARE p AS DELETE FROM runs",
    "SELECT 1; DELETE FROM runs",
    "SELECT 1; SELECT 2",
    "",
    "  -- nothing",
    "SELEC 1",
    "SELECT $1",
]


@pytest.mark.parametrize("query", WRITES)
def test_nothing_but_one_select_is_done(lab, query):
    before = sorted(path.name for path in lab.path.iterdir())
    with pytest.raises(QueryRefusedError):
        lab.metrics.query(query.format(folder=lab.path))
    assert sorted(path.name for path in lab.path.iterdir()) == before
    assert len(lab.metrics.query("FROM rounds")) == len(lab.metrics.query("FROM runs")) == 1


ENDLESS = [
    "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT count(*) FROM r",
    "SELECT count(*) FROM range(10000000) a, range(100000000) b WHERE a.range <> b.range",
    "SELECT sum(a.range * b.range) FROM range(10000000) a, range(10000000) b",
]


@pytest.mark.parametrize("query", ENDLESS)
def test_an_endless_query_is_cut_with_its_numbers(lab, query):
    with pytest.raises(QueryRefusedError, match=r"longer than 0\.3 s"):
        lab.metrics.query(query, timeout_s=0.3)
    assert len(lab.metrics.query("FROM rounds")) == 1


@pytest.mark.parametrize("timeout_s", [0.0, -1.0])
def test_a_query_without_time_is_cut_although_it_has_not_begun(lab, timeout_s):
    with pytest.raises(QueryRefusedError, match=f"longer than {timeout_s:g} s"):
        lab.metrics.query(ENDLESS[1], timeout_s=timeout_s)


HUGE = [
    "SELECT list(range) FROM range(10000000000)",
    "SELECT string_agg(range::VARCHAR, ',') FROM range(10000000000)",
    "WITH RECURSIVE r(s) AS (SELECT 'abc' UNION ALL SELECT s || s FROM r) SELECT count(*) FROM r",
]


@pytest.mark.parametrize("query", HUGE)
def test_a_query_that_fills_the_memory_is_refused(lab, query):
    with pytest.raises(QueryRefusedError, match=r"more than 1GB|took longer"):
        lab.metrics.query(query, timeout_s=0.5)
    assert len(lab.metrics.query("FROM rounds")) == 1


@pytest.mark.parametrize(
    "call",
    [
        "repeat('x', 3000000000)",
        "list_sum(range(1000000000))",
        'list_sum(main."RANGE"(1000000000))',
        "len(generate_series(1, 1000000000))",
        "printf('%1000000000d', 1)",
        "'x'.rpad(1000000000, 'y')",
        "(SELECT [repeat('x', 3000000000)] FROM range(1))",
    ],
)
def test_a_huge_value_from_a_single_call_is_refused_at_once(lab, call):
    with pytest.raises(QueryRefusedError, match="no limit would hold"):
        lab.metrics.query(f"SELECT {call}")


def test_a_deep_query_is_refused_and_does_not_kill_the_process(lab):
    for depth in (1_000, 1_200, 100_000):
        with pytest.raises(QueryRefusedError, match=r"depth|deeply|characters"):
            lab.metrics.query("SELECT * FROM " + "(SELECT * FROM " * depth + "runs" + ")" * depth)


def test_an_answer_with_too_many_rows_is_refused_with_the_number(lab):
    assert len(lab.metrics.query("SELECT * FROM range(10)", rows=10)) == 10
    with pytest.raises(QueryRefusedError, match="more than 10 rows"):
        lab.metrics.query("SELECT * FROM range(1000000000000)", rows=10)


def test_a_mistyped_name_is_told_with_the_nearest(lab):
    with pytest.raises(QueryRefusedError, match="rounds") as refused:
        lab.metrics.query("SELECT * FROM ronds")
    assert "LINE" not in str(refused.value)


@pytest.mark.parametrize(
    "query",
    [
        "WITH best AS (SELECT max(value) AS v FROM metrics WHERE scope = 'central') FROM best",
        "SELECT client, avg(loss) FROM updates JOIN assignments USING (run, round, client) GROUP BY 1",
        "SELECT * FROM rounds ORDER BY closed_at DESC LIMIT 3;  -- die jüngsten; ä",
        "SELECT ';' AS one, 'ö' AS \"--\" ; ;",
        "SELECT run, row_number() OVER (PARTITION BY run ORDER BY round) FROM rounds",
        "SELECT opened_at::VARCHAR, date_trunc('day', opened_at) FROM rounds",
        "DESCRIBE rounds",
        "SHOW TABLES",
        "SUMMARIZE updates",
        "VALUES (1, 'a')",
    ],
)
def test_questions_of_all_kinds_are_answered(lab, query):
    assert len(lab.metrics.query(query)) > 0


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("340282366920938463463374607431768211455::UHUGEINT", str(2**128 - 1)),
        ("12345678901234567890123::BIGNUM", "12345678901234567890123"),
        ("'101'::BIT", "101"),
        ("TIMETZ '12:00:00+05'", "12:00:00+05"),
        ("[union_value(a := 1)]", "[1]"),
        ("{'n': MAP{'m': 7::UHUGEINT}}", "{'n': {m=7}}"),
    ],
)
def test_what_arrow_has_no_type_for_is_text_and_no_other_value(lab, value, text):
    rows = list(lab.metrics.query(f'SELECT 1 AS "a""b", {value} AS "a""b", [2] AS c'))
    table = lab.metrics.query(f"SELECT {value} AS v, 2 AS n")
    assert list(table) == [{"v": text, "n": 2}]
    assert rows[0]["c"] == [2]


def test_times_are_in_utc_wherever_the_machine_is(lab):
    (row,) = lab.metrics.query("SELECT opened_at::VARCHAR AS text, opened_at FROM rounds")
    assert row["text"].endswith("+00")
    assert row["opened_at"].utcoffset().total_seconds() == 0
