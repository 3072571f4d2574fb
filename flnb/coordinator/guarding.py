"""Guards of a run at work: what was measured, which of them holds, and the way back.

A guard is looked at when a round has been measured and before it is closed, so that what it found
stands among the round's own events, and is there after a crash as surely as the round itself.
"""

from __future__ import annotations

import logging
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from flnb.coordinator.history.measured import measurements, series_until
from flnb.coordinator.history.moving import move
from flnb.coordinator.history.timeline import Timeline
from flnb.coordinator.job import Job
from flnb.coordinator.jobs import resumed_job
from flnb.core.clock import SYSTEM_CLOCK
from flnb.core.errors import GuardError, RoundStateError
from flnb.core.failpoints import reach
from flnb.core.guards import Guard
from flnb.store import Closing, FailedAttempt, LabStore, Operation, Request

ACTOR = "guard"
"""Who did it, in the operations log, where no person did."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Fired:
    """That a guard held."""

    guard: Guard
    round: int
    attempt: int
    """Of the cohort in that round."""
    words: str
    """The condition with its numbers."""

    @property
    def event(self) -> str:
        """As it stands in the events of the round."""
        return f"{self.guard.then}: {self.words}"


class Monitor:
    """The guards of one run, and what was measured lately.

    Args:
        guards: In the plan's order; the first that holds and does more than warn decides.
        warn_only: Whether none of them does more than warn: rounds are replayed that a person asked for.
    """

    def __init__(self, guards: Sequence[Guard], *, warn_only: bool = False) -> None:
        self._rules = [(guard, guard.expression) for guard in guards]
        self._warn_only = warn_only
        self._window = max((rule.window for _, rule in self._rules), default=0)
        self._measured: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=self._window))

    def remember(self, store: LabStore, job: Job) -> Fired | None:
        """Read what was measured before the round from which a run goes on; blocks.

        Returns:
            What held in that round, if the process died before anything was done about it.
        """
        if not self._rules or not job.start.round:
            return None
        key = store.state.line(job.record.id).key(job.start.round)
        names = sorted({name for _, rule in self._rules for name in rule.names})
        for name, values in series_until(store, key, names, self._window).items():
            self._measured[name].extend(values)
        closing = store.state.closing_of(key)
        own = (job.record.id, job.record.generation)
        if closing is None or (closing.run, closing.generation) != own:
            return None  # it was closed by another branch, or before the head was moved
        found = [one for one in self._found(closing) if one.guard.then != "warn"]
        told = list(closing.events["detail"])
        left = [one for one in found if one.event in told and not _answered(store, job, one)]
        return left[0] if left else None

    def look(self, closing: Closing) -> tuple[Closing, Fired | None]:
        """Look at a round before it is closed.

        Returns:
            The round with what was found among its events, and what is to be acted upon.
        """
        self._take(closing)
        found = list(self._found(closing))
        if not found:
            return closing, None
        for one in found:
            log.warning("guard of %s in round %d: %s", closing.branch, closing.round, one.event)
        events = {name: list(values) for name, values in closing.events.items()}
        n = len(events["position"])
        events["position"] += range(n, n + len(found))
        events["kind"] += ["guard" for _ in found]
        events["client"] += ["" for _ in found]
        events["detail"] += [one.event for one in found]
        strict = [one for one in found if one.guard.then != "warn"]
        return replace(closing, events=events), strict[0] if strict else None

    def _take(self, closing: Closing) -> None:
        for name, value in measurements(closing):
            self._measured[name].append(value)

    def _found(self, closing: Closing) -> Iterator[Fired]:
        now = {name for name, _ in measurements(closing)}
        series = {name: list(values) for name, values in self._measured.items()}
        for guard, rule in self._rules:
            finding = rule.look(series)
            if finding.holds and not now.isdisjoint(rule.names):
                does = guard.replace(then="warn") if self._warn_only else guard
                yield Fired(does, closing.round, closing.attempt, f"{guard.when} ({finding})")


def go_back(store: LabStore, job: Job, fired: Fired) -> Job:
    """Do what a guard says: move the head back, and make ready to go on from there; blocks.

    Of the round that broke it the next attempt is made, with another cohort where one is drawn.

    Raises:
        GuardError: It says to pause, went back often enough, or must not move this head.
    """
    run, state = job.record.id, store.state
    if why := _why_pause(store, job, fired):
        raise _pause(store, job, fired, why)
    seen = (job.record.generation, state.head(run).round)
    base = Timeline(store, job.record).commit_before(fired.round - 1)
    request = Request(id=f"{_mark(job, fired)}{seen[0]}", actor=ACTOR, reason=fired.words)
    repaired = FailedAttempt(
        run=run,
        generation=seen[0],
        round=fired.round,
        attempt=fired.attempt,
        counts={},
        reasons={0: f"guard: {fired.words}"},
        ended_at=SYSTEM_CLOCK.now(),
    )
    try:
        move(store, run, seen, base, request, repaired=repaired)
    except RoundStateError as error:
        raise _pause(store, job, fired, f"it could not go back: {error.message}") from error
    reach("guard-went-back")
    task, people = job.population.task, job.population
    return resumed_job(store, state.run(run), task, (), None, {}, lambda *_: people)


def pause_too(store: LabStore, job: Job, fired: Fired) -> GuardError | None:
    """Let a guard that says to pause have its say where a person paused the run as well; blocks.

    Returns:
        What whoever waits for the run is told; None of a guard that goes back when the run goes on.
    """
    why = _why_pause(store, job, fired)
    return _pause(store, job, fired, why) if why else None


def _why_pause(store: LabStore, job: Job, fired: Fired) -> str:
    """Why a guard pauses the run, empty if it goes back."""
    if fired.guard.then == "pause":
        return "it says to pause"
    # A move and its request are one transaction: what is counted here has happened.
    begins = f"guard {fired.guard.when} in round "
    asked = [row.request for row in store.state.generations(job.record.id)]
    mine = [request for request in asked if request.startswith(begins)]
    if any(request.startswith(_mark(job, fired)) for request in mine):
        return "it went back from this round before"
    if len(mine) >= fired.guard.limit:
        return f"it went back {len(mine)} times, its limit"
    return ""


def _mark(job: Job, fired: Fired) -> str:
    """Begins the request of a guard that goes back from a round."""
    return f"guard {fired.guard.when} in round {fired.round} of {job.record.id}, generation "


def _pause(store: LabStore, job: Job, fired: Fired, why: str) -> GuardError:
    """Write down that a guard pauses a run; whatever happens then, nobody but a person lets it go on."""
    details = _details(job, fired)
    now = SYSTEM_CLOCK.now()
    paused = Operation(now, ACTOR, "pause", job.record.id, f"{fired.words}; {why}", details)
    error = GuardError(fired.round, fired.words, why)
    store.state.append_operation(paused, pauses=str(error))
    return error


def _details(job: Job, fired: Fired) -> dict[str, Any]:
    generation = job.record.generation
    return {"guard": fired.guard.when, "round": fired.round, "generation": generation}


def _answered(store: LabStore, job: Job, fired: Fired) -> bool:
    """Whether a run was paused for this already; going back would have moved its head."""
    operations = store.state.operations(job.record.id)
    return any(one.actor == ACTOR and one.details == _details(job, fired) for one in operations)
