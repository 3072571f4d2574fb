"""How rounds go: facts in, orders out, nothing else.

`step` is a pure function. It opens no socket, reads no clock and touches no disk, so that a run
can be replayed from its facts and every rule below is tested in microseconds. The coordinator
feeds it and carries out its orders. `design/002-the-walk.md` takes seven protocols through it.

Read `state.py` for what is remembered and `facts.py` for the words.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import assert_never

import numpy as np

from flnb.core.messages import Outcome
from flnb.core.view import Phase, Status
from flnb.rounds import buffered, synchronous
from flnb.rounds.facts import (
    Answered,
    Closed,
    Drawn,
    Fact,
    Finish,
    Moved,
    Order,
    Pause,
    PauseAsked,
    Refuse,
    ResumeAsked,
    Rows,
    StopAsked,
    TimePassed,
)
from flnb.rounds.state import Buffered, CloseRule, RoundsState, Stage, Synchronous, Wave

Step = tuple[RoundsState, tuple[Order, ...]]


def start(
    *,
    stages: Sequence[Stage],
    rule: CloseRule,
    rounds: int,
    version: int = 0,
    failed: Mapping[int, int] | None = None,
    generation: int = 1,
) -> Step:
    """Make the state of a run and the first orders.

    Args:
        stages: The strategy's protocol, in order.
        rule: What makes a version of accepted answers.
        rounds: Versions after which the run is finished.
        version: The head to go on from; 0 for a new run.
        failed: Round to attempts that already failed, for rounds that are run (again).
        generation: Of the branch.

    Raises:
        ValueError: No stage; no stage that folds; a buffered rule with several stages.
    """
    if not any(stage.folds for stage in stages):
        raise ValueError("a protocol needs a stage whose payloads make the new version")
    if isinstance(rule, Buffered) and len(stages) > 1:
        raise ValueError(f"a buffered run has one stage, got {[stage.name for stage in stages]}")
    state = RoundsState(
        tuple(stages),
        rule,
        rounds,
        version=version,
        failed=dict(failed or {}),
        attempt=(failed or {}).get(version + 1, 0),
        generation=generation,
    )
    return _go_on(state)


def step(state: RoundsState, facts: Iterable[Fact]) -> Step:
    """Take in what happened and say what to do.

    Args:
        state: Where the run is. Never changed.
        facts: What happened, in order. Answers that came too late, twice or from another
            generation are refused by an order, other facts out of place are ignored.

    Returns:
        The next state and the orders, to be carried out in their order.

    Raises:
        ValueError: A version closed that no `Close` asked for; whoever carries out the orders
            made a mistake, and taking it in would lose a round.
    """
    orders: list[Order] = []
    for fact in facts:
        if state.status in {Status.FINISHED, Status.STOPPED}:
            if isinstance(fact, Answered):
                orders.append(Refuse(fact.wave, fact.rows, f"the run is {state.status}"))
            continue
        state, more = _one(state, fact)
        orders.extend(more)
    return state, tuple(orders)


def room(state: RoundsState) -> int | None:
    """How many accepted answers may come at once; None is any number.

    A round that closes on a quorum must not be handed more than it still needs, nor a buffer more
    than still fits, because the sums of a simulated cohort cannot be taken apart afterwards.
    """
    rule = state.rule
    if isinstance(rule, Buffered):
        return max(1, rule.size - state.buffered)
    if rule.on_quorum:
        return min(
            (max(1, state.stages[w.stage].need - w.accepted) for w in state.waves.values()),
            default=None,
        )
    return None


def _one(state: RoundsState, fact: Fact) -> Step:
    match fact:
        case Drawn():
            return _drawn(state, fact)
        case Answered():
            return _answered(state, fact)
        case TimePassed():
            if isinstance(state.rule, Synchronous) and state.phase is Phase.COLLECTING:
                return synchronous.out_of_time(state, state.rule, fact)
            return state, ()
        case Closed(version=version):
            return _closed(state, version)
        case PauseAsked() | ResumeAsked() | StopAsked():
            return _asked(state, fact)
        case Moved():
            return _moved(state, fact)
        case _:
            assert_never(fact)


def _drawn(state: RoundsState, fact: Drawn) -> Step:
    if not state.drawing:
        return state, ()
    wave = Wave.of(state.next_wave, state.version, fact.clients)
    asked, state = state.drawing, replace(state, next_wave=wave.id + 1, drawing=0)
    if isinstance(state.rule, Buffered):
        return buffered.drawn(state, state.rule, wave, asked)
    return synchronous.drawn(state, wave)


def _answered(state: RoundsState, fact: Answered) -> Step:
    wave = state.waves.get(fact.wave)
    if fact.generation != state.generation:
        reason = f"stale: of generation {fact.generation}, now {state.generation}"
        return state, (Refuse(fact.wave, fact.rows, reason),)
    if wave is None:
        ours = 0 <= fact.wave < state.next_wave
        reason = "late: the round has closed" if ours else "no such assignment"
        return state, (Refuse(fact.wave, fact.rows, reason),)
    if fact.stage != wave.stage:
        reason = f"late: of stage {fact.stage}, now {wave.stage}"
        return state, (Refuse(fact.wave, fact.rows, reason),)
    rows, outcomes, refusals = _news(wave, fact)
    if not len(rows):
        return state, refusals
    if isinstance(state.rule, Buffered):
        state, orders = buffered.answered(state, state.rule, wave, rows, outcomes)
    else:
        state, orders = synchronous.answered(state, state.rule, wave, rows, outcomes)
    return state, refusals + orders


def _news(wave: Wave, fact: Answered) -> tuple[Rows, np.ndarray, tuple[Order, ...]]:
    """Keep the rows that are news, in order of arrival; say what is wrong with the others."""
    rows, outcomes = fact.rows, fact.outcomes
    refusals: list[Order] = []
    good = (rows >= 0) & (rows < len(wave.clients))
    if not good.all():
        refusals.append(Refuse(wave.id, rows[~good], "no such assignment"))
        rows, outcomes = rows[good], outcomes[good]
    held = wave.outcomes.at(rows)
    good = (held == Outcome.PENDING) & _first(rows)
    if not good.all():
        late = held == Outcome.LATE
        for wrong, reason in (
            (late, "late: the stage has closed"),
            (~good & ~late, "already answered"),
        ):
            if wrong.any():
                refusals.append(Refuse(wave.id, rows[wrong], reason))
        rows, outcomes = rows[good], outcomes[good]
    return rows, outcomes, tuple(refusals)


def _first(rows: Rows) -> np.ndarray:
    """Whether a row was not named before in the same fact."""
    first = np.ones(len(rows), dtype=np.bool_)
    if len(rows) > 1:
        first[:] = False
        first[np.unique(rows, return_index=True)[1]] = True
    return first


def _moved(state: RoundsState, fact: Moved) -> Step:
    """Rest at another version; a move that is older than the present generation is no news."""
    if fact.generation <= state.generation:
        return state, ()
    state = replace(
        state.without_waves(),
        generation=fact.generation,
        version=fact.version,
        attempt=0,
        failed={},
        status=Status.PAUSED,
        phase=Phase.WAITING,
    )
    return state, (Pause(f"moved to round {fact.version}"),)


def _closed(state: RoundsState, version: int) -> Step:
    if state.phase is not Phase.AGGREGATING or version != state.round:
        raise ValueError(f"version {version} closed while round {state.round} is {state.phase}")
    attempt = state.failed.get(version + 1, 0)
    state = replace(state, version=version, attempt=attempt, phase=Phase.COMPLETE)
    if isinstance(state.rule, Synchronous):
        state = state.without_waves()
    return _go_on(state)


def _go_on(state: RoundsState) -> Step:
    """Begin the next round, unless the run is over or somebody wants it to rest."""
    if state.version >= state.rounds:
        return replace(state.without_waves(), status=Status.FINISHED), (Finish("done"),)
    if state.status is Status.PAUSING:
        return replace(state, status=Status.PAUSED), (Pause("asked"),)
    if isinstance(state.rule, Buffered):
        return buffered.go_on(state, state.rule)
    return synchronous.go_on(state, state.rule)


def _asked(state: RoundsState, fact: PauseAsked | ResumeAsked | StopAsked) -> Step:
    match fact:
        case PauseAsked() if state.status is Status.RUNNING:
            if isinstance(state.rule, Synchronous) and (state.waves or state.drawing):
                return replace(state, status=Status.PAUSING), ()
            if state.phase is Phase.AGGREGATING:
                return replace(state, status=Status.PAUSING), ()
            return replace(state, status=Status.PAUSED), (Pause("asked"),)
        case ResumeAsked() if state.status is Status.PAUSING:
            return replace(state, status=Status.RUNNING), ()
        case ResumeAsked() if state.status is Status.PAUSED:
            return _go_on(replace(state, status=Status.RUNNING))
        case StopAsked():
            return replace(state.without_waves(), status=Status.STOPPED), (Finish("stopped"),)
        case _:
            return state, ()
