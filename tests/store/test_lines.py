"""Which rounds lead where, and that finding one costs the same however many there are."""

from dataclasses import replace

import pytest
from sqlalchemy import event

from flnb.store import Request, RoundKey, StateStore
from flnb.store.lines import leads_to
from flnb.testing.stores import sample_closing, sample_run


@pytest.fixture
def state(tmp_path):
    store = StateStore(tmp_path / "state.db")
    store.create_run(sample_run())
    close(store, 1, 6)
    yield store
    store.close()


def close(state, first, last):
    generation = state.run("run001").generation
    for number in range(first, last + 1):
        snapshot = f"{generation}-{number}" if number % 2 == 0 else None
        state.close_round(
            replace(sample_closing(number, clients=1, snapshot=snapshot), generation=generation)
        )


def roll_back(state, seen, base):
    request = Request(id=str(seen), actor="ada", reason="poisoned")
    state.move_head("run001", seen, base, request)


def leaving_by_looking_at_all(state, base):
    line = state.line_of(base) if base else None
    summaries = state.summaries("run001")
    return [one.round for one in summaries if not leads_to(base, line, one.round_key)]


def test_what_leaves_a_line_is_what_does_not_lead_to_the_base(state):
    roll_back(state, (1, 6), RoundKey("run001", 1, 4))
    close(state, 5, 8)
    roll_back(state, (2, 8), RoundKey("run001", 2, 6))
    close(state, 7, 9)
    for base in (None, *(RoundKey("run001", *key) for key in [(1, 2), (1, 6), (2, 6), (2, 8)])):
        found = state.leaving("run001", base)
        assert [one.round for one in found] == leaving_by_looking_at_all(state, base)
    assert found[0].bytes_up == 1000
    assert [one.round for one in found] == [7, 8, 9]


def test_a_round_without_a_commit_stands_on_the_last_one_before_it(state):
    roll_back(state, (1, 6), RoundKey("run001", 1, 4))
    close(state, 5, 5)
    assert state.commit_at(RoundKey("run001", 2, 5)) == RoundKey("run001", 1, 4)
    assert state.commit_at(RoundKey("run001", 1, 6)) == RoundKey("run001", 1, 6)
    assert state.commit_at(RoundKey("run001", 1, 1)) is None


def test_heads_and_single_rounds_are_found_by_the_whole_index(state):
    asked = []

    def note(connection, cursor, statement, parameters, *_):
        if "FROM closings" in statement:
            asked.append((statement, parameters))

    event.listen(state._database._reader, "before_cursor_execute", note)
    state.head("run001")
    state.closing("run001", 3)
    state.leaving("run001", RoundKey("run001", 1, 4))
    event.remove(state._database._reader, "before_cursor_execute", note)
    with state._database.reading() as connection:
        for statement, parameters in asked:
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            assert "(run=? AND branch=? AND generation=? AND round" in str(plan.all())
    assert len(asked) == 3
