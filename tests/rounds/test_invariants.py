"""What holds after every fact, whatever the facts: 10,000 random runs, sensible and hostile ones.

A run is named by its seed. A small ledger, kept from facts and orders alone, says who was assigned,
who answered and who counts; the machine's columns must agree with it after every step.
"""

from collections import Counter
from random import Random

import jaxtyping
import numpy as np
import pytest

from flnb.core.messages import Outcome
from flnb.core.view import Phase, Status
from flnb.rounds import (
    Accept,
    Answered,
    Assign,
    Buffered,
    Close,
    Closed,
    Draw,
    Drawn,
    Fail,
    Finish,
    Moved,
    Pause,
    PauseAsked,
    Refuse,
    ResumeAsked,
    Stage,
    StopAsked,
    Synchronous,
    TimePassed,
    room,
    start,
    step,
)
from tests.rounds.words import answer, plain

RUNS = 10_000
CHUNK = 200
OVER = {Status.FINISHED, Status.STOPPED}
OUTCOMES = (Outcome.ACCEPTED,) * 7 + (Outcome.REFUSED, Outcome.FAILED, Outcome.LOST)


def some_run(random):
    """The start of a run under some rule."""
    if random.random() < 0.3:
        rule = Buffered(random.randint(1, 4), random.randint(1, 6), random.randint(0, 2))
        stages = [Stage("train", 1)]
    else:
        rule = Synchronous(
            random.choice([None, 5]), random.random() < 0.5, random.choice([None, 10.0])
        )
        folding = random.choice([(True,), (True,), (True, False), (False, True)])
        stages = [Stage(f"s{i}", random.randint(1, 3), folds) for i, folds in enumerate(folding)]
    return start(stages=stages, rule=rule, rounds=random.randint(1, 3))


def some_fact(random, state):
    """What may well come next, or anything at all."""
    luck = random.random()
    if luck < 0.12:
        return hostile(random, state)
    if luck < 0.17:
        return random.choice([PauseAsked(), ResumeAsked(), TimePassed(99.0), TimePassed(99.0)])
    if state.status is Status.PAUSED and luck < 0.7:
        return ResumeAsked()
    if state.drawing and luck < 0.8:
        asked = state.drawing if isinstance(state.rule, Buffered) else random.randint(2, 6)
        named = asked if luck < 0.7 else random.randint(0, asked)
        return Drawn(tuple(f"c{random.randrange(100)}" for _ in range(named)))
    if state.phase is Phase.AGGREGATING and luck < 0.6:
        return Closed(state.round)
    return some_answer(random, state)


def some_answer(random, state):
    waves = list(state.waves.values())
    if not waves:
        return TimePassed(99.0)
    wave = random.choice(waves)
    pending = wave.outcomes.where(Outcome.PENDING).tolist()
    rows = random.sample(pending, random.randint(0, len(pending)))
    if random.random() < 0.15:
        rows += [random.randint(-2, len(wave.clients) + 2) for _ in range(random.randint(1, 3))]
    outcomes = random.choices(OUTCOMES, k=len(rows))
    return answer(rows, outcomes, wave=wave.id, stage=wave.stage, generation=state.generation)


def hostile(random, state):
    """A fact that is late, early, repeated, made up or from another generation."""
    kind = random.randrange(7)
    if kind == 0:
        return Moved(state.generation + random.randint(-1, 1), random.randint(0, state.rounds))
    if kind == 1:
        return Closed(random.randint(-1, state.rounds + 1))
    if kind == 2:
        return Drawn(("x",))
    if kind == 3:
        return StopAsked() if random.random() < 0.3 else ResumeAsked()
    if kind == 4:
        return TimePassed(random.choice([0.0, 99.0]), random.choice([None, 0, 1, 7]))
    wave, stage = random.randint(-1, state.next_wave), random.randint(0, len(state.stages) - 1)
    rows = [random.randint(0, 5) for _ in range(random.randint(1, 3))]
    generation = state.generation - (kind == 5)
    return answer(rows, wave=wave, stage=stage, generation=generation)


class Ledger:
    """What the machine must believe, kept from facts and orders alone."""

    def __init__(self):
        self.assigned, self.settled, self.accepted = {}, {}, {}
        self.counted = Counter()

    def take_in(self, before, fact, orders):
        if isinstance(fact, Answered):
            self._answered(before, fact, orders)
        for order in orders:
            if isinstance(order, Assign):
                key, rows = (order.wave, order.stage), set(order.rows.tolist())
                assert key not in self.assigned, "a stage of a wave is handed out once"
                assert not order.stage or rows == self.accepted[order.wave, order.stage - 1]
                self.assigned[key], self.settled[key], self.accepted[key] = rows, set(), set()
        moved = isinstance(fact, Moved) and fact.generation > before.generation
        if moved or any(isinstance(order, Fail) for order in orders):
            self.counted.clear()

    def _answered(self, before, fact, orders):
        rows, key = fact.rows.tolist(), (fact.wave, fact.stage)
        refuse = [order for order in orders if isinstance(order, Refuse)]
        taken = Counter(rows) - Counter(row for order in refuse for row in order.rows.tolist())
        outcome = dict(zip(reversed(rows), reversed(fact.outcomes.tolist()), strict=True))
        usable = {row for row in taken if outcome[row] == Outcome.ACCEPTED}
        if taken:
            assert fact.generation == before.generation
            assert max(taken.values()) == 1
            assert set(taken) <= self.assigned[key] - self.settled[key]
            self.accepted[key] |= usable
            self.settled[key] |= set(taken)
        accept = [order for order in orders if isinstance(order, Accept)]
        if isinstance(before.rule, Buffered):
            bound = before.version - before.rule.max_staleness
            assert all(order.base >= bound for order in accept)
            for order in refuse:
                if order.reason.startswith("stale: from version"):
                    assert before.waves[order.wave].base < bound
                    self.settled[key] |= set(order.rows.tolist())
        told = {(order.wave, row) for order in accept for row in order.rows.tolist()}
        folds = before.stages[fact.stage].folds
        assert told == ({(fact.wave, row) for row in usable} if folds else set())
        self.counted.update(told)

    def close(self, before, after, close):
        assert close.round == after.round
        assert max(self.counted.values()) == 1, "an answer counts once"
        if isinstance(before.rule, Buffered):
            assert len(self.counted) >= before.rule.size
        else:
            (wave,) = after.waves.values()
            assert wave.stage == len(before.stages) - 1
            for stage, needed in enumerate(before.stages):
                usable = len(self.accepted[wave.id, stage])
                assert usable >= needed.need
                assert usable == needed.need or not before.rule.on_quorum
            folding = next(i for i, stage in enumerate(before.stages) if stage.folds)
            assert {row for _, row in self.counted} == self.accepted[wave.id, folding]
        self.counted.clear()

    def agree(self, state):
        for wave in state.waves.values():
            column = wave.outcomes.all()
            assert np.bincount(column, minlength=len(Outcome)).tolist() == list(wave.counts)
            key = wave.id, wave.stage
            closed = isinstance(state.rule, Synchronous) and state.phase is Phase.AGGREGATING
            pending = set() if closed else self.assigned[key] - self.settled[key]
            assert set(wave.outcomes.where(Outcome.PENDING).tolist()) == pending
            assert set(wave.outcomes.where(Outcome.ACCEPTED).tolist()) == self.accepted[key]
        assert state.busy == sum(wave.pending for wave in state.waves.values())


def check_orders(before, fact, after, orders):
    kinds = {type(order) for order in orders}
    if before.status in OVER:
        assert kinds <= {Refuse}
        assert after is before
    if after.status is Status.PAUSED:
        assert not kinds & {Draw, Assign}
    assert (after.status in OVER) == (before.status in OVER or Finish in kinds)
    assert (Pause in kinds) <= (after.status is Status.PAUSED)
    for order in orders:
        if isinstance(order, Fail):
            assert order.got < order.need
            assert (order.round, order.attempt) == (before.round, after.attempt - 1)
            assert order.outcomes["accepted"] == order.got


def check_progress(before, fact, after):
    if isinstance(fact, Moved) and before.status not in OVER:
        latest = max(before, fact, key=lambda known: known.generation)
        assert (after.generation, after.version) == (latest.generation, latest.version)
    else:
        closed = isinstance(fact, Closed) and before.status not in OVER
        assert after.version == before.version + closed
    if after.status in {Status.RUNNING, Status.PAUSING}:
        assert after.busy or after.drawing or after.phase is Phase.AGGREGATING, "waits for nothing"
    if isinstance(after.rule, Buffered):
        assert after.busy <= after.rule.concurrency
    else:
        assert len(after.waves) <= 1


def picture(state, *, drawing=True):
    waves = [
        (w.id, w.base, w.stage, w.clients, w.counts, w.outcomes.all().tobytes())
        for _, w in sorted(state.waves.items())
    ]
    told = (state.status, state.phase, state.version, state.attempt, state.generation)
    return told, state.next_wave, state.buffered, drawing and state.drawing, waves


def check_one_by_one(before, fact, after):
    """A report of many is many reports of one.

    The buffered rule differs in two points. A report that holds more than `room` closes one version
    and not two, which is why nobody hands over more. And who is asked for first: the first of many
    single answers draws one client and the rest wait for it, so the open draw is left out.
    """
    later = isinstance(before.rule, Buffered)
    if later and np.count_nonzero(fact.outcomes == Outcome.ACCEPTED) > room(before):
        return
    ones = [slice(at, at + 1) for at in range(len(fact.rows))]
    about = fact.wave, fact.stage
    single, _ = step(
        before, [Answered(*about, fact.rows[i], fact.outcomes[i], fact.generation) for i in ones]
    )
    assert picture(single, drawing=not later) == picture(after, drawing=not later)


def is_mistake(state, fact):
    """Whether a version closed that nobody ordered."""
    ordered = state.phase is Phase.AGGREGATING and fact == Closed(state.round)
    return isinstance(fact, Closed) and state.status not in OVER and not ordered


def walk(seed):
    """One random run, checked after every fact; returns what happened, for the census."""
    random = Random(seed)
    first, orders = start_orders = some_run(random)
    ledger, states, pictures, facts = Ledger(), [first], [picture(first)], []
    said = list(orders)
    for _ in range(random.randint(5, 18)):
        before = states[-1]
        fact = some_fact(random, before)
        if is_mistake(before, fact):
            with pytest.raises(ValueError, match="closed while"):
                step(before, [fact])
            continue
        after, orders = step(before, [fact])
        ledger.take_in(before, fact, orders)
        for order in orders:
            if isinstance(order, Close):
                ledger.close(before, after, order)
        check_orders(before, fact, after, orders)
        check_progress(before, fact, after)
        ledger.agree(after)
        if isinstance(fact, Answered) and len(fact.rows) > 1 and random.random() < 0.5:
            check_one_by_one(before, fact, after)
        facts.append(fact)
        states.append(after)
        pictures.append(picture(after))
        said += orders
    assert [picture(state) for state in states] == pictures, "a step changed an old state"
    again, orders = step(first, facts)
    assert picture(again) == pictures[-1], "one batch and single facts differ"
    assert plain([*start_orders[1], *orders]) == plain(said)
    return Counter(type(order).__name__ for order in said)


@pytest.mark.parametrize("chunk", range(RUNS // CHUNK))
def test_ten_thousand_random_runs_keep_every_promise(chunk, monkeypatch):
    # Types and shapes are checked in the first runs; checked in all, they cost five times the rest.
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", chunk > 0)
    seen = Counter()
    for seed in range(chunk * CHUNK, (chunk + 1) * CHUNK):
        try:
            seen += walk(seed)
        except Exception as error:
            error.add_note(f"the run of seed {seed}")
            raise
    # The runs go everywhere: no order is so rare that its rules were not tried.
    assert min(seen[kind.__name__] for kind in (Accept, Assign, Close, Fail, Finish, Pause)) > 20
