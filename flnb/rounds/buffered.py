"""The buffered close rule: clients come and go, a version closes whenever K updates are in.

Source: Nguyen et al., "Federated Learning with Buffered Asynchronous Aggregation", AISTATS 2022,
Algorithm 1. Differs from the paper: an update that is staler than `max_staleness` is refused;
what weight a stale one gets is the rule's business and not the machine's.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from flnb.core.messages import Outcome
from flnb.core.view import Phase, Status
from flnb.rounds.facts import Accept, Assign, Close, Draw, Order, Pause, Refuse, Rows
from flnb.rounds.state import Buffered, RoundsState, Wave

Step = tuple[RoundsState, tuple[Order, ...]]


def go_on(state: RoundsState, rule: Buffered) -> Step:
    """After a version: close again if the buffer is full already, else keep clients busy."""
    state = replace(state, phase=Phase.COLLECTING)
    state, orders = _full(state, rule)
    state, more = _refill(state, rule)
    return state, orders + more


def drawn(state: RoundsState, rule: Buffered, wave: Wave, asked: int) -> Step:
    """Hand the stage to the new wave, and draw again for those who answered meanwhile."""
    if state.status is not Status.RUNNING:
        # Nobody starts work while the run rests; the draw is made again when it goes on.
        return state, ()
    if not wave.clients:
        return _nobody(state)
    state = state.with_wave(wave)
    assign = Assign(wave.id, 0, np.arange(len(wave.clients)))
    if len(wave.clients) < asked:
        # The sampler has no more: asking at once would ask for ever. The next answer asks again.
        return state, (assign,)
    state, more = _refill(state, rule)
    return state, (assign, *more)


def answered(
    state: RoundsState, rule: Buffered, wave: Wave, rows: Rows, outcomes: np.ndarray
) -> Step:
    """Settle rows, refuse those that are too stale, close when the buffer is full."""
    orders: list[Order] = []
    accepted = rows[outcomes == Outcome.ACCEPTED]
    staleness = state.version - wave.base
    if len(accepted) and staleness > rule.max_staleness:
        outcomes = np.where(outcomes == Outcome.ACCEPTED, np.uint8(Outcome.REFUSED), outcomes)
        reason = f"stale: from version {wave.base}, now {state.version}, at most {rule.max_staleness} behind"
        orders.append(Refuse(wave.id, accepted, reason))
    elif len(accepted):
        orders.append(Accept(wave.id, np.sort(accepted), wave.base))
        state = replace(state, buffered=state.buffered + len(accepted))
    wave = wave.settle(rows, outcomes)
    state = state.with_wave(wave) if wave.pending else state.without_wave(wave.id)
    state, closing = _full(state, rule)
    state, more = _refill(state, rule)
    return state, (*orders, *closing, *more)


def _full(state: RoundsState, rule: Buffered) -> Step:
    resting = state.status is Status.PAUSED
    if resting or state.phase is Phase.AGGREGATING or state.buffered < rule.size:
        return state, ()
    state = replace(state, phase=Phase.AGGREGATING, buffered=0)
    return state, (Close(state.round, "buffer full"),)


def _nobody(state: RoundsState) -> Step:
    """Rest when nothing is left to wait for: no answer, no version, and no client to ask."""
    if state.busy or state.phase is Phase.AGGREGATING:
        return state, ()
    return replace(state, status=Status.PAUSED), (Pause("no client to invite"),)


def _refill(state: RoundsState, rule: Buffered) -> Step:
    """Keep `concurrency` clients busy, with one draw under way at most."""
    missing = rule.concurrency - state.busy
    if state.status is not Status.RUNNING or state.drawing or missing <= 0:
        return state, ()
    # Waves number the draws, so that two draws of one round have different names.
    draw = Draw(state.round, state.attempt, state.next_wave, missing)
    return replace(state, drawing=missing), (draw,)
