"""The synchronous close rule: one wave a round, stage after stage, quorum and deadline."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from flnb.core.messages import Outcome
from flnb.core.view import Phase, Status
from flnb.rounds.facts import (
    Accept,
    Assign,
    Close,
    Draw,
    Fail,
    Order,
    Pause,
    Refuse,
    Rows,
    TimePassed,
)
from flnb.rounds.state import RoundsState, Synchronous, Wave

Step = tuple[RoundsState, tuple[Order, ...]]


def go_on(state: RoundsState, rule: Synchronous) -> Step:
    """Ask for the cohort of the next round."""
    state = replace(state, phase=Phase.WAITING, drawing=1)
    return state, (Draw(state.round, state.attempt, state.next_wave, rule.invite),)


def drawn(state: RoundsState, wave: Wave) -> Step:
    """Hand the first stage to the whole cohort."""
    state = replace(state, phase=Phase.COLLECTING)
    return _assigned(state, wave, np.arange(len(wave.clients)))


def answered(
    state: RoundsState, rule: Synchronous, wave: Wave, rows: Rows, outcomes: np.ndarray
) -> Step:
    """Settle rows; close the stage when that was all, or enough."""
    stage = state.stages[wave.stage]
    orders: list[Order] = []
    if rule.on_quorum:
        enough = _enough(outcomes, stage.need - wave.accepted)
        if enough < len(rows):
            # As if they had come one by one: what follows the quorum finds the stage closed.
            orders.append(Refuse(wave.id, rows[enough:], f"late: {stage.need} were enough"))
            rows, outcomes = rows[:enough], outcomes[:enough]
    accepted = rows[outcomes == Outcome.ACCEPTED]
    if stage.folds and len(accepted):
        orders.append(Accept(wave.id, np.sort(accepted), wave.base))
    wave = wave.settle(rows, outcomes)
    state = state.with_wave(wave)
    if rule.on_quorum and wave.accepted >= stage.need:
        state, more = _stage_over(state, wave, "quorum")
    elif wave.pending == 0:
        state, more = _stage_over(state, wave, "all answered")
    elif wave.accepted + wave.pending < stage.need:
        state, more = _failed(state, wave)
    else:
        more = ()
    return state, (*orders, *more)


def out_of_time(state: RoundsState, rule: Synchronous, fact: TimePassed) -> Step:
    """Close the stage with what is in, once the deadline has passed."""
    if rule.deadline_s is None or fact.elapsed_s < rule.deadline_s:
        return state, ()
    (wave,) = state.waves.values()
    if fact.stage not in {None, wave.stage}:
        return state, ()
    return _stage_over(state, wave, "deadline")


def _enough(outcomes: np.ndarray, missing: int) -> int:
    """How many answers, in order of arrival, until so many of them are accepted."""
    accepted = np.flatnonzero(outcomes == Outcome.ACCEPTED)
    return int(accepted[missing - 1]) + 1 if len(accepted) >= missing else len(outcomes)


def _assigned(state: RoundsState, wave: Wave, rows: Rows) -> Step:
    """Hand a stage to those who are in it, if they can meet its need at all."""
    state = state.with_wave(wave)
    if len(rows) < state.stages[wave.stage].need:
        return _failed(state, wave)
    return state, (Assign(wave.id, wave.stage, rows),)


def _stage_over(state: RoundsState, wave: Wave, reason: str) -> Step:
    if wave.accepted < state.stages[wave.stage].need:
        return _failed(state, wave)
    if wave.pending:
        wave = wave.settle(wave.outcomes.where(Outcome.PENDING), Outcome.LATE)
    if wave.stage + 1 < len(state.stages):
        survivors = wave.outcomes.where(Outcome.ACCEPTED)
        return _assigned(state, wave.next_stage(), survivors)
    state = replace(state.with_wave(wave), phase=Phase.AGGREGATING)
    return state, (Close(state.round, reason),)


def _failed(state: RoundsState, wave: Wave) -> Step:
    """Too few: nothing of this attempt is used, and the run rests until somebody decides."""
    stage = state.stages[wave.stage]
    fail = Fail(state.round, state.attempt, stage.name, wave.accepted, stage.need, wave.tally())
    state = replace(
        state.without_waves(),
        attempt=state.attempt + 1,
        status=Status.PAUSED,
        phase=Phase.FAILED,
    )
    return state, (fail, Pause("too few usable updates"))
