"""Recorded runs, played again: the same facts give the same orders, today and after a refactor.

`recorded/*.json` hold facts and orders. Where a change of the orders is meant, look at the
difference that `python -m tests.rounds.test_replay` makes to those files, and commit it.
"""

import json
from dataclasses import fields
from pathlib import Path
from random import Random

import numpy as np
import pytest

from flnb import rounds
from flnb.core.messages import Outcome
from flnb.core.view import Phase, Status
from flnb.rounds import Stage, start, step

RECORDED = Path(__file__).parent / "recorded"
DTYPES = {"rows": np.int64, "outcomes": np.uint8}
RUNS = {
    "fedavg": {
        "stages": [["train", 5]],
        "rule": ["Synchronous", 8, False, 60.0],
    },
    "over_selection": {
        "stages": [["train", 6]],
        "rule": ["Synchronous", 9, True, None],
    },
    "two_stages": {
        "stages": [["share", 4], ["reveal", 3, False]],
        "rule": ["Synchronous", None, False, 60.0],
    },
    "buffered": {
        "stages": [["train", 1]],
        "rule": ["Buffered", 4, 8, 2],
    },
}


def begin(run):
    kind, *numbers = run["rule"]
    stages = [Stage(*stage) for stage in run["stages"]]
    return start(stages=stages, rule=getattr(rounds, kind)(*numbers), rounds=4)


def written(things):
    """Facts or orders as plain JSON."""

    def value(thing):
        return thing.tolist() if isinstance(thing, np.ndarray) else thing

    told = [
        [type(thing).__name__, {f.name: value(getattr(thing, f.name)) for f in fields(thing)}]
        for thing in things
    ]
    return json.loads(json.dumps(told))


def read(facts):
    def value(name, thing):
        return np.array(thing, DTYPES[name]) if name in DTYPES else thing

    def fact(kind, parts):
        parts = {name: value(name, part) for name, part in parts.items()}
        if kind == "Drawn":
            parts["clients"] = tuple(parts["clients"])
        return getattr(rounds, kind)(**parts)

    return [fact(kind, parts) for kind, parts in facts]


def next_fact(state, random):
    """What a busy coordinator might tell next: answers in any order, pauses, a deadline."""
    if state.status is Status.PAUSED:
        return rounds.ResumeAsked()
    if random.random() < 0.06:
        return random.choice([rounds.PauseAsked(), rounds.TimePassed(60.0, 0)])
    if state.drawing:
        n = state.drawing if isinstance(state.rule, rounds.Buffered) else state.rule.invite or 6
        return rounds.Drawn(tuple(f"client-{random.randrange(100):02}" for _ in range(n)))
    if state.phase is Phase.AGGREGATING and random.random() < 0.7:
        return rounds.Closed(state.round)
    wave = random.choice(list(state.waves.values()))
    rows = random.sample(range(len(wave.clients)), random.randint(1, min(3, len(wave.clients))))
    outcomes = random.choices(
        [Outcome.ACCEPTED, Outcome.REFUSED, Outcome.FAILED, Outcome.LOST],
        [20, 1, 1, 2],
        k=len(rows),
    )
    return rounds.Answered(
        wave.id, wave.stage, np.array(rows), np.array(outcomes, np.uint8), state.generation
    )


def record(run, seed=0):
    """Play a run to its end and write down what was told and what was ordered."""
    random, facts = Random(seed), []
    state, orders = begin(run)
    said = list(orders)
    while state.status is not Status.FINISHED:
        facts.append(next_fact(state, random))
        state, orders = step(state, facts[-1:])
        said += orders
    return {**run, "facts": written(facts), "orders": written(said)}


def replayed(run, cuts):
    """Orders of the recorded facts, told in batches."""
    facts = read(run["facts"])
    state, orders = begin(run)
    said = list(orders)
    for begin_at, end_at in zip([0, *cuts], [*cuts, len(facts)], strict=True):
        state, orders = step(state, facts[begin_at:end_at])
        said += orders
    return written(said)


@pytest.mark.parametrize("name", RUNS)
def test_a_recorded_run_gives_the_recorded_orders(name):
    run = json.loads((RECORDED / f"{name}.json").read_text(encoding="utf-8"))
    assert {key: run[key] for key in RUNS[name]} == RUNS[name]
    assert replayed(run, cuts=range(1, len(run["facts"]))) == run["orders"]


@pytest.mark.parametrize("name", RUNS)
def test_how_facts_are_batched_does_not_matter(name):
    run = json.loads((RECORDED / f"{name}.json").read_text(encoding="utf-8"))
    n, random = len(run["facts"]), Random(1)
    for cuts in ([], sorted(random.sample(range(n), n // 5)), sorted(random.sample(range(n), 3))):
        assert replayed(run, cuts) == run["orders"]


@pytest.mark.parametrize("seed", range(1, 6))
@pytest.mark.parametrize("name", RUNS)
def test_any_run_can_be_written_down_and_played_again(name, seed):
    run = record(RUNS[name], seed)
    assert run["orders"][-1] == ["Finish", {"reason": "done"}]
    assert replayed(run, cuts=[len(run["facts"]) // 2]) == run["orders"]


if __name__ == "__main__":
    RECORDED.mkdir(exist_ok=True)
    for name, run in RUNS.items():
        lines = [
            f'"{key}": [\n  ' + ",\n  ".join(json.dumps(part) for part in value) + "\n ]"
            for key, value in record(run).items()
        ]
        text = "{\n " + ",\n ".join(lines) + "\n}\n"
        (RECORDED / f"{name}.json").write_text(text, encoding="utf-8")
