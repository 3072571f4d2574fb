"""What runs were measured by: on the lines to their heads, in few queries however many the runs."""

from dataclasses import asdict, replace

import pytest
from sqlalchemy import event, insert

import flnb
from flnb.coordinator import measures
from flnb.coordinator.measures import lines_of, measured
from flnb.experiments.rows import courses
from flnb.store import Request, RoundKey, Stretch, closing_rows, schema
from flnb.store.select_only import MAX_CHARACTERS
from flnb.testing.stores import sample_closing, sample_run


@pytest.fixture
def lab(tmp_path):
    lab = flnb.open(tmp_path / "lab")
    yield lab
    lab.store.close()


def close(state, run, rounds, generation=1):
    for number in rounds:
        closing = sample_closing(number, run=run.id, clients=1, snapshot=f"{run.id}-{number}")
        state.close_round(replace(closing, branch=run.branch, generation=generation))


def test_what_was_rolled_back_and_what_a_branch_stands_on_is_told_apart(lab):
    state, run = lab.store.state, sample_run("alpha")
    bold = replace(run, id="bold", name="alpha/bold", branch="bold")
    state.create_run(run)
    close(state, run, range(1, 7))
    state.fork(bold, RoundKey(run.id, 1, 2), Request(id="1", actor="ada", reason=""))
    close(state, bold, [3])
    state.move_head(run.id, (1, 6), RoundKey(run.id, 1, 4), Request(id="2", actor="ada", reason=""))
    close(state, run, [5], generation=2)
    found = measured(lab, ["alpha", "alpha/bold", "alpha/gone"])
    assert {name: (one.rounds, one.bytes_up) for name, one in found.items()} == {
        "alpha": (5, 5000),
        "alpha/bold": (3, 3000),
    }
    assert found["alpha"].metrics["accuracy"].most == max(
        row["value"]
        for row in lab.sql("FROM metrics WHERE metric = 'accuracy' AND round <= 5")
        if row["branch"] == "main"
    )


def test_a_run_that_was_rolled_back_often_is_named_in_queries_that_are_short_enough(
    lab, monkeypatch
):
    often = [Stretch("main", number, number, number + 1) for number in range(900)]
    monkeypatch.setattr(lab.store.state, "stretches", lambda names: dict.fromkeys(names, often))
    parts = list(lines_of(lab, ["otter"]))
    assert len(parts) == 3
    assert max(len(measures._METRICS.format(line=line)) for line in parts) < MAX_CHARACTERS
    assert sum(line.count("['otter']") for line in parts) == 900


def test_a_run_that_takes_several_queries_is_told_as_in_one(lab, monkeypatch):
    state, run = lab.store.state, sample_run("alpha")
    state.create_run(run)
    close(state, run, range(1, 5))
    state.move_head(run.id, (1, 4), RoundKey(run.id, 1, 3), Request(id="1", actor="ada", reason=""))
    close(state, run, [4, 5], generation=2)
    state.move_head(run.id, (2, 5), RoundKey(run.id, 2, 4), Request(id="2", actor="ada", reason=""))
    close(state, run, [5], generation=3)

    def told():  # as text: what is not a number equals nothing
        return repr((measured(lab, ["alpha"]), courses(lab, ["alpha"]).to_dict("records")))

    in_one = told()
    monkeypatch.setattr(measures, "_CHARACTERS", 30)
    assert len(list(lines_of(lab, ["alpha"]))) == 3
    assert told() == in_one


def fill(lab, count):
    """Runs of one round each, in one transaction; returns their names."""
    runs = [replace(sample_run(f"alpha-{number:08x}"), id=f"r{number}") for number in range(count)]
    with lab.store.state._database.writing() as connection:
        connection.execute(insert(schema.runs), [asdict(run) for run in runs])
        for run in runs:
            closing = sample_closing(1, run=run.id, clients=1)
            closing_rows.write(connection, closing, closing_rows.to_row(closing))
    return [run.name for run in runs]


@pytest.mark.parametrize("count", [600, pytest.param(3000, marks=pytest.mark.long)])
def test_many_runs_take_few_queries_that_are_short_enough(lab, count):
    names, reads, asked = fill(lab, count), [], []
    reader = lab.store.state._database._reader
    event.listen(reader, "before_cursor_execute", lambda *told: reads.append(told[2]))
    parts = list(lines_of(lab, names))
    assert [each.split()[0] for each in reads] == ["BEGIN", "SELECT", "SELECT"]
    found = measured(lab, names, lambda query, **how: asked.append(query) or lab.sql(query, **how))
    assert {name: one.rounds for name, one in found.items()} == dict.fromkeys(names, 1)
    assert max(map(len, asked)) < MAX_CHARACTERS
    assert len(asked) == 2 * len(parts) <= 2 + count / 250
