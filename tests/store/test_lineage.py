"""Lines of generations against a model that copies the list of rounds at each move."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flnb.core.errors import NotFoundError
from flnb.store.lineage import Generation, Line, RoundKey, Segment

MOMENT = datetime(2026, 3, 29, tzinfo=UTC)
MOVES = st.lists(
    st.tuples(st.sampled_from("ttttfr"), st.integers(0, 9), st.integers(0, 9)), max_size=40
)


def generation(run, number, base):
    return Generation(
        run=run, generation=number, base=base, request="r", actor="ada", reason="", at=MOMENT
    )


class Model:
    """Every branch as the list of keys of the rounds that lead to its head."""

    def __init__(self):
        self.lines, self.newest, self.rows = {"main": []}, {"main": 1}, {}

    def train(self, run):
        self.lines[run].append(RoundKey(run, self.newest[run], len(self.lines[run]) + 1))

    def fork(self, run, to):
        name = f"branch-{len(self.lines)}"
        self.lines[name], self.newest[name] = self.lines[run][:to], 1
        self._row(name)

    def roll_back(self, run, to):
        self.lines[run] = self.lines[run][:to]
        self.newest[run] += 1
        self._row(run)

    def _row(self, run):
        base = self.lines[run][-1] if self.lines[run] else None
        self.rows[run, self.newest[run]] = generation(run, self.newest[run], base)


@given(MOVES)
def test_a_line_is_what_trainings_forks_and_roll_backs_left(moves):
    model = Model()
    for kind, which, to in moves:
        run = sorted(model.lines)[which % len(model.lines)]
        {"t": lambda r, _: model.train(r), "f": model.fork, "r": model.roll_back}[kind](run, to)
    for run, keys in model.lines.items():
        line = Line.of(run, model.newest[run], model.rows)
        assert [line.key(key.round) for key in keys] == keys
        assert all(key in line for key in keys)
        gone = {key for other in model.lines.values() for key in other} - set(keys)
        past = {key for key in gone if key.run == run or key.round <= len(keys)}
        assert not any(key in line for key in past)


def test_a_lab_of_before_has_one_open_generation():
    assert Line.of("main", 1, {}).segments == (Segment("main", 1, 0, None),)


def test_there_is_no_round_before_the_first():
    with pytest.raises(NotFoundError, match="round"):
        Line.of("main", 1, {}).key(0)


def test_a_base_before_all_rounds_of_its_generation_leaves_that_one_out():
    rows = {
        ("main", 2): generation("main", 2, RoundKey("main", 1, 5)),
        ("main", 3): generation("main", 3, RoundKey("main", 2, 5)),
    }
    expected = (Segment("main", 1, 0, 5), Segment("main", 3, 5, None))
    assert Line.of("main", 3, rows).segments == expected
