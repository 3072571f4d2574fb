"""`flnb run branch | rollback | replay`: fork a run, take its head back, add its rounds up again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from flnb.cli import addresses, labs, output
from flnb.cli.checkpoints import which
from flnb.cli.output import AsJson, At, LabPath, RunName

if TYPE_CHECKING:
    from flnb.coordinator.history.preview import Preview
    from flnb.coordinator.run import Run

_TRIES = 5
"""A round may close between a look at a run that goes on and its roll back."""
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would happen; do nothing.")]


def branch(
    run: RunName,
    name: Annotated[str, typer.Argument(help="Of the branch.")],
    at_round: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="CKPT", help="Where it begins; the last commit if not given."
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="A.B=V", help="A setting of the plan that is another."),
    ] = None,
    lab: LabPath = output.DEFAULT_LAB,
    at: At = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Make a branch that goes its own way from a checkpoint on; it rests until it is resumed."""
    from flnb.cli import runfile

    base = which(at_round) if at_round is not None else None
    with labs.steered(lab, at) as there:
        handle = there.run_of(run)
        changes = runfile.changes(handle.plan, settings or [])
        if dry_run:
            facts = _branch_to_be(handle, name, base, changes)
        else:
            made = handle.branch(name, at=base, **changes)
            facts = {"branch": made.name, "at": made.view.round, "done": True}
    if as_json:
        output.data(facts)
    elif dry_run:
        output.say(f"{facts['branch']} would begin after round {facts['at']}")
        for setting, (before, after) in facts["settings"].items():
            output.say(f"  {setting}: {before} → {after}")
    else:
        output.say(
            f"{facts['branch']} begins after round {facts['at']}; "
            f"{output.program()} runs resume {facts['branch']}{addresses.options()}"
        )


def rollback(
    run: RunName,
    to: Annotated[str, typer.Option("--to", metavar="CKPT", help="A round, 0, or a name.")],
    reason: Annotated[str, typer.Option(help="Why; kept in the operations log.")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    lab: LabPath = output.DEFAULT_LAB,
    at: At = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Take the head of a run back to an earlier round; nothing is deleted."""
    _need_reason("a roll back", reason, dry_run=dry_run)
    with labs.steered(lab, at) as there:
        handle = there.run_of(run)
        preview, rounds = handle.rollback(which(to)), handle.plan.rounds
        if not as_json:
            output.say(repr(preview))
        if not dry_run:
            if not yes and not as_json and not typer.confirm("roll back?", err=True):
                raise typer.Abort
            preview = _moved(handle, preview, reason, tries=_TRIES if yes else 1)
        else:
            preview.check()
    if as_json:
        output.data({"run": run, **preview.facts(), "rounds": preview.leaves, "done": not dry_run})
    elif not dry_run:
        again = preview.again
        at_round = again[0] - 1 if again else preview.target
        rest = f", from which it comes to round {preview.target} again" if again else ""
        more = f"; {output.program()} runs resume {run}{addresses.options()}"
        output.say(f"{run} is at round {at_round}{rest}{more if at_round < rounds else ''}")


def replay(
    run: RunName,
    from_: Annotated[
        str,
        typer.Option("--from", metavar="CKPT", help="The last round that stays as it is, or 0."),
    ],
    exclude: Annotated[
        list[str] | None,
        typer.Option(metavar="CLIENT", help="A client to leave out; repeat for more."),
    ] = None,
    train: Annotated[
        bool, typer.Option("--train", help="Train the rounds again; nothing need be kept.")
    ] = False,
    reason: Annotated[str, typer.Option(help="Why; kept in the operations log.")] = "",
    lab: LabPath = output.DEFAULT_LAB,
    at: At = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Make a branch in which the rounds after a commit are done again without some clients."""
    _need_reason("a replay", reason, dry_run=dry_run)
    with labs.steered(lab, at) as there:
        preview = there.run_of(run).replay(which(from_), exclude=exclude or (), train=train)
        if not as_json:
            output.say(repr(preview))
        preview.check()
        made = f"{run.partition('/')[0]}/{preview.branch}"
        if not dry_run:
            made = preview.apply(reason).name
    if as_json:
        facts = {"run": run, "branch": made, "rounds": preview.rounds, "missing": preview.missing}
        output.data({**facts, **preview.facts(), "branch": made, "done": not dry_run})
    elif not dry_run:
        option = addresses.options()
        output.say(f"{made} is made; {output.program()} runs resume {made}{option}")


def _need_reason(what: str, reason: str, *, dry_run: bool) -> None:
    from flnb.core.errors import PlanError

    if not reason.strip() and not dry_run:
        raise PlanError(f"{what} needs a reason", hint='--reason "…"; --dry-run only looks')


def _moved(run: Run, preview: Preview, reason: str, tries: int) -> Preview:
    """Roll back, with a fresh preview where a round was closed meanwhile; returns the last one.

    Raises:
        HeadMovedError: The run is too fast.
    """
    from flnb.core.errors import HeadMovedError

    for left in reversed(range(tries)):
        try:
            preview.apply(reason)
            break
        except HeadMovedError as error:
            if not left or error.preview is None:
                error.hint = f"{output.program()} runs pause {run.name}{addresses.options()} first"
                raise
            preview = cast("Preview", error.preview)
    return preview


def _branch_to_be(
    handle: Run, name: str, base: int | str | None, changes: dict[str, Any]
) -> dict[str, Any]:
    """What a branch would be; refused where making it would be."""
    from flnb.coordinator.history.comparing import differing
    from flnb.core.errors import NameTakenError

    trunk = handle.name.partition("/")[0]
    if name in {lane.branch for lane in handle.history.lanes}:
        raise NameTakenError(f"{trunk} has a branch {name!r} already", hint="choose another name")
    start = handle.checkpoint("@head" if base is None else base).round if base != 0 else 0
    plans = {"is": handle.plan, "would be": handle.plan.replace(**changes)}
    rows = differing({which: plan.model_dump(mode="json") for which, plan in plans.items()})
    settings = {row["setting"]: (row["is"], row["would be"]) for row in rows}
    return {"branch": f"{trunk}/{name}", "at": start, "settings": settings, "done": False}
