"""`flnb ckpt …`: checkpoints of a run: list, compare, name, export and expire them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flnb.cli import labs, output
from flnb.cli.output import AsJson, At, LabPath, RunName

app = typer.Typer(
    no_args_is_help=True,
    help="Checkpoints of a run: list, compare, name, export and expire them.",
    epilog="Example: flnb ckpt list quiet-otter",
)
Which = Annotated[
    str,
    typer.Argument(
        metavar="CKPT", help="A round, @head, @best, a name that was given, or BRANCH@one of these."
    ),
]


@app.command("list", epilog="Example: flnb ckpt list quiet-otter --json")
def list_checkpoints(
    run: RunName, lab: LabPath = output.DEFAULT_LAB, at: At = None, as_json: AsJson = False
) -> None:
    """Show the branches of a run as a graph, with their commits and names."""
    with labs.reached(lab, at) as there:
        history = there.run_of(run).history
    if as_json:
        output.data(history.df().to_dict("records"))
    else:
        typer.echo(repr(history))


@app.command(epilog="Example: flnb ckpt diff quiet-otter 10 @best")
def diff(
    run: RunName,
    before: Which,
    after: Which,
    lab: LabPath = output.DEFAULT_LAB,
    at: At = None,
    as_json: AsJson = False,
) -> None:
    """Compare two checkpoints of a run, tensor by tensor."""
    with labs.reached(lab, at) as there:
        handle = there.run_of(run)
        found = handle.checkpoint(which(before)).diff(handle.checkpoint(which(after)))
    if as_json:
        output.data(found.df().to_dict("records"))
    else:
        typer.echo(repr(found))


@app.command(epilog='Example: flnb ckpt alias quiet-otter serving @best --if "accuracy > 0.9"')
def alias(
    run: RunName,
    name: Annotated[str, typer.Argument(help="Such as serving.")],
    checkpoint: Which,
    lab: LabPath = output.DEFAULT_LAB,
    at: At = None,
    condition: Annotated[str, typer.Option("--if", help="Only if a metric is so.")] = "",
    reason: Annotated[str, typer.Option(help="Why; kept in the operations log.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it would mean.")] = False,
    as_json: AsJson = False,
) -> None:
    """Let a name mean a checkpoint from now on."""
    with labs.steered(lab, at) as there:
        found = there.run_of(run).alias(
            name, which(checkpoint), if_=condition, reason=reason, dry_run=dry_run
        )
    facts = {"alias": name, "round": found.round, "commit": found.snapshot, "done": not dry_run}
    if as_json:
        output.data(facts)
    else:
        output.say(f"@{name} {'would mean' if dry_run else 'means'} round {found.round} of {run}")


@app.command(epilog="Example: flnb ckpt export quiet-otter @best -o best.safetensors")
def export(
    run: RunName,
    checkpoint: Which,
    to: Annotated[Path, typer.Option("--to", "-o", metavar="FILE", help="Where to.")],
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    lab: LabPath = output.DEFAULT_LAB,
    at: At = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Write nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write a checkpoint as a safetensors file."""
    _check_target(to, force=force)
    with labs.reached(lab, at) as there:
        found = there.run_of(run).checkpoint(which(checkpoint))
        if not dry_run:
            found.export(to)
    facts = {"file": str(to), "round": found.round, "sha256": found.sha256, "done": not dry_run}
    if as_json:
        output.data(facts)
    else:
        output.say(f"round {found.round} of {run} {'would be' if dry_run else 'is'} in {to}")


@app.command(epilog='Example: flnb ckpt expire quiet-otter --older-than 30d --reason "disk"')
def expire(
    run: RunName,
    older_than: Annotated[str, typer.Option(help="Such as 36h or 30d; a day at least.")] = "30d",
    keep: Annotated[
        str, typer.Option(help="What stays of those, whatever its age.")
    ] = "every 10th, tagged, best",
    reason: Annotated[str, typer.Option(help="Why; kept in the operations log.")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    lab: LabPath = output.DEFAULT_LAB,
    at: At = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go.")] = False,
    as_json: AsJson = False,
) -> None:
    """Let old commits of a run and its branches go, and free their bytes; rows stay."""
    from flnb.core import glance  # brings numpy, which help does not need
    from flnb.core.errors import PlanError

    if not reason.strip() and not dry_run:
        raise PlanError("letting commits go needs a reason", hint='--reason "…"; or --dry-run')
    with labs.reached(lab, at) as there:
        preview = there.expire(run, older_than=older_than, keep=keep)
        if not as_json:
            output.say(repr(preview))
        freed = preview.freed
        if not dry_run:
            if not yes and not as_json and not typer.confirm("let them go?", err=True):
                raise typer.Abort
            freed = preview.apply(reason)
    if as_json:
        facts = {"run": run, "commits": len(preview.goes), "rounds": preview.leaves}
        output.data(facts | freed._asdict() | {"done": not dry_run})
    elif not dry_run:
        output.say(f"freed {freed.objects} objects, {glance.size(freed.size_bytes)}")


def _check_target(to: Path, *, force: bool) -> None:
    from flnb.core.errors import NameTakenError, NotFoundError

    if not to.parent.is_dir():
        raise NotFoundError("folder", to.parent)
    if to.is_dir():
        raise NameTakenError(f"{to} is a folder", hint="-o FILE")
    if to.exists() and not force:
        raise NameTakenError(f"{to} is there already", hint="--force replaces it")


def which(text: str) -> int | str:
    """A round's number, or a name."""
    from flnb.core.ids import which_of  # it loads what `--help` does without

    return which_of(text)
