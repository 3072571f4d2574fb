"""What a job asks of the round machine, and what it makes of the machine's orders; pure."""

from __future__ import annotations

from collections.abc import Sequence

from flnb import rounds
from flnb.coordinator.job import Job
from flnb.coordinator.rows import OpenRound
from flnb.core.errors import InsufficientClientsError
from flnb.core.messages import Work
from flnb.core.view import Status


def started(job: Job, version: int) -> tuple[rounds.RoundsState, Sequence[rounds.Order]]:
    """Start the machine for a job.

    Args:
        job: What to run, or which rounds to do again.
        version: The round that the newest version comes from.

    Returns:
        Its state, and its first orders.
    """
    plan, replay = job.plan, job.replay
    rule = rounds.Synchronous(None)
    if replay is None:
        rule = rounds.Synchronous(plan.invite, plan.close == "quorum", plan.deadline_s)
    need = 1 if replay else plan.quorum_of(job.population.needed(plan))
    return rounds.start(
        stages=[rounds.Stage(name, need) for name in job.strategy.stages],
        rule=rule,
        rounds=replay.until if replay else plan.rounds,
        version=version,
        failed=job.failed,
        generation=job.record.generation,
    )


def work_of(job: Job, state: rounds.RoundsState, order: rounds.Assign) -> Work:
    """What the clients of a wave are told to do."""
    plan = job.plan
    return Work(
        run=job.record.id,
        seed=plan.seed,
        round=state.round,
        attempt=state.attempt,
        stage=state.stages[order.stage].name,
        clients=state.waves[order.wave].clients,
        half=job.strategy.half,
        weighting=job.strategy.rule.weighting,
        generation=job.record.generation,
        federated=plan.evaluation.federated,
        deadline_s=plan.deadline_s,
        line=job.line,
        keep_updates=plan.keep_updates is not None,
    )


def ended(job: Job, version: int, reason: str) -> Status:
    """How a run is whose machine has finished; a replay may end before the run does.

    Args:
        job: What was run.
        version: The round of the newest version.
        reason: Why it finished.
    """
    if reason != "done":
        return Status.STOPPED
    return Status.FINISHED if version >= job.plan.rounds else Status.PAUSED


def failure_of(order: rounds.Fail, open_round: OpenRound | None) -> InsufficientClientsError:
    """Why a run rests whose attempt at a round is lost."""
    example = open_round.example() if open_round else ""
    return InsufficientClientsError(order.round, order.got, order.need, order.outcomes, example)
