"""`flnb ckpt …`: checkpoints of a run: list, compare, name and export them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flnb.cli import output
from flnb.cli.output import AsJson, LabPath, RunName

app = typer.Typer(
    no_args_is_help=True,
    help="Checkpoints of a run: list, compare, name and export them.",
    epilog="Example: flnb ckpt list quiet-otter",
)
Which = Annotated[
    str, typer.Argument(metavar="CKPT", help="A round, @head, @best, or a name that was given.")
]


@app.command("list", epilog="Example: flnb ckpt list quiet-otter --json")
def list_checkpoints(
    run: RunName, lab: LabPath = output.DEFAULT_LAB, as_json: AsJson = False
) -> None:
    """Show the branches of a run as a graph, with their commits and names."""
    from flnb.cli.labs import existing

    history = existing(lab).run(run).history
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
    as_json: AsJson = False,
) -> None:
    """Compare two checkpoints of a run, tensor by tensor."""
    from flnb.cli.labs import existing

    handle = existing(lab).run(run)
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
    condition: Annotated[str, typer.Option("--if", help="Only if a metric is so.")] = "",
    reason: Annotated[str, typer.Option(help="Why; kept in the operations log.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it would mean.")] = False,
    as_json: AsJson = False,
) -> None:
    """Let a name mean a checkpoint from now on."""
    from flnb.cli.labs import existing

    handle = existing(lab).run(run)
    if dry_run:
        found = handle.checkpoint(which(checkpoint))
    else:
        found = handle.alias(name, which(checkpoint), if_=condition, reason=reason)
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
    lab: LabPath = output.DEFAULT_LAB,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Write nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write a checkpoint as a safetensors file."""
    from flnb.cli.labs import existing

    found = existing(lab).run(run).checkpoint(which(checkpoint))
    if not dry_run:
        found.export(to)
    facts = {"file": str(to), "round": found.round, "sha256": found.sha256, "done": not dry_run}
    if as_json:
        output.data(facts)
    else:
        output.say(f"round {found.round} of {run} {'would be' if dry_run else 'is'} in {to}")


def which(text: str) -> int | str:
    """A round's number, or a name."""
    return int(text) if text.lstrip("-").isdigit() else text
