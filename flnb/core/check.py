"""What a plan means for a task, before an hour is spent: sizes, bytes, and what looks wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from flnb.core import cards
from flnb.core.errors import NotFoundError
from flnb.core.glance import count, size
from flnb.core.messages import TaskSummary
from flnb.core.plan import Plan

_SIGNS = {"ok": "✓", "warning": "!", "error": "✗"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that the check noticed."""

    level: str
    """`ok`, `warning` (may be what you want) or `error` (cannot work)."""
    text: str


@dataclass(frozen=True, slots=True)
class PlanCheck:
    """What a plan means for a task; shows itself as a short list."""

    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether the plan can work."""
        return all(finding.level != "error" for finding in self.findings)

    def __repr__(self) -> str:
        """One finding a line."""
        return "\n".join(f"{_SIGNS[item.level]} {item.text}" for item in self.findings)

    def _repr_mimebundle_(self, **_: object) -> Mapping[str, str]:
        rows = [(_SIGNS[item.level], item.text) for item in self.findings]
        return cards.bundle(repr(self), cards.framed(cards.table(("", "plan check"), rows, left=2)))


def check_plan(plan: Plan, task: TaskSummary) -> PlanCheck:
    """Compare a plan with a task.

    Args:
        plan: The plan.
        task: `task.summary()`.

    Returns:
        Parameters, bytes a round, who takes part; warnings; errors that keep it from working.
    """
    invitable = {c: n for c, n in task.client_examples.items() if c not in plan.exclude}
    sizes = sorted(invitable.values())
    findings = [Finding("ok", _sizes(plan, task, len(sizes)))]
    findings += _people(plan, sizes)
    findings += _training(plan, sizes)
    findings += [Finding("error", text) for text in (*task.errors, *unknown_names(plan, task))]
    if held_out := task.n_test_examples:
        findings.append(Finding("ok", f"{count(held_out, 'example')} held out to measure on"))
    findings += [Finding("warning", text) for text in task.warnings]
    return PlanCheck(tuple(findings))


def unknown_names(plan: Plan, task: TaskSummary) -> list[str]:
    """Say which guards name a metric that a run of this plan never measures."""
    measured = ("loss", *task.metrics)
    names = ["training.loss", "training.loss_not_finite"]
    if plan.evaluation.central_every and task.n_test_examples:
        names += measured
    if plan.evaluation.federated:
        names += [f"federated.{name}" for name in measured]
    found = []
    for guard in plan.guards:
        try:
            guard.expression.check_names(names)
        except NotFoundError as error:
            found.append(f"guard {guard.when!r} names {error.name!r}: {error.hint}")
    return found


def _sizes(plan: Plan, task: TaskSummary, population: int) -> str:
    invited = population if plan.invite is None else plan.invite
    each, both = task.model_bytes, 2 * task.model_bytes * invited
    return (
        f"{task.n_parameters:,} parameters · {size(each)} down and {size(each)} up a client · "
        f"{size(both)} a round with {invited} of {count(population, 'client')} · "
        f"{size(both * plan.rounds)} in {count(plan.rounds, 'round')}"
    )


def _people(plan: Plan, sizes: Sequence[int]) -> list[Finding]:
    found = []
    if not sizes:
        return [Finding("error", "the task has no clients")]
    invited = len(sizes) if plan.invite is None else plan.invite
    need = plan.quorum_of(len(sizes))
    if invited > len(sizes):
        found.append(
            Finding("error", f"invite={invited}, but the task has {count(len(sizes), 'client')}")
        )
    if need > len(sizes):
        found.append(
            Finding("error", f"need={need}, but the task has {count(len(sizes), 'client')}")
        )
    if found:
        return found
    if (filled := sum(size > 0 for size in sizes)) < need:
        text = f"need={need}, but only {count(filled, 'client')} of {len(sizes)} have examples"
        found.append(Finding("warning", text))
    spare = invited - need
    if spare == 0 and invited > 1:
        found.append(
            Finding("warning", f"need={need} of {invited}: one client that fails pauses it")
        )
    elif plan.sampling == "poisson" and spare < 2 * invited**0.5:
        found.append(
            Finding("warning", f"poisson cohorts vary around {invited}; need={need} is near")
        )
    else:
        found.append(Finding("ok", f"need={need} of {invited}: {spare} may drop out"))
    if plan.close == "quorum" and spare == 0:
        found.append(Finding("warning", "close='quorum' with need=invite: nobody is left over"))
    return found


def _training(plan: Plan, sizes: Sequence[int]) -> list[Finding]:
    if not sizes:
        return []
    local, found = plan.strategy.local, []
    smallest, middle, largest = sizes[0], median(sizes), sizes[-1]
    found.append(
        Finding("ok", f"clients have {smallest} to {largest} examples, the median {middle:.0f}")
    )
    if few := sum(0 < size < 5 for size in sizes):
        found.append(Finding("warning", f"fewer than 5 examples: {count(few, 'client')}"))
    if local.batch_size and local.batch_size > middle:
        text = (
            f"batch_size={local.batch_size} is more than the median client has: one step an epoch"
        )
        found.append(Finding("warning", text))
    if local.epochs and local.batch_size:
        steps = local.epochs * -(-round(middle) // local.batch_size)
        found.append(Finding("ok", f"a median client takes {count(steps, 'step')} a round"))
    return found
