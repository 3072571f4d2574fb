"""`flnb runs …`: look at the runs of a lab, and steer them from another terminal."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Annotated

import typer

from flnb.cli import addresses, labs, output
from flnb.cli.output import AsJson, At, LabPath, RunName

if TYPE_CHECKING:
    from flnb.core.view import RunView

app = typer.Typer(
    no_args_is_help=True,
    help="List runs, look at one, watch it, pause, resume or stop it.",
    epilog="Example: flnb runs list",
)
WATCH_S = 0.5


@app.command("list", epilog="Example: flnb runs list --json")
def list_runs(lab: LabPath = output.DEFAULT_LAB, at: At = None, as_json: AsJson = False) -> None:
    """List the runs of a lab, newest first."""
    with labs.reached(lab, at) as there:
        views = [run.view for run in there.runs()]
    if as_json:
        output.data([output.facts(view) for view in views])
    elif not views:
        output.say("no runs yet; flnb quickstart makes one")
    else:
        rows = [
            (view.name, _state(view), f"{view.round}/{view.rounds}", _latest(view), _day(view))
            for view in views
        ]
        output.table(("run", "status", "round", "latest", "started"), rows, left=2)


@app.command(epilog="Example: flnb runs show quiet-otter")
def show(
    run: RunName, lab: LabPath = output.DEFAULT_LAB, at: At = None, as_json: AsJson = False
) -> None:
    """Show one run: how it stands, its last rounds and its plan."""
    from flnb.core import glance

    with labs.reached(lab, at) as there:
        handle = there.run_of(run)
    view = handle.view
    if as_json:
        output.data({**output.facts(view), "plan": handle.plan.model_dump(mode="json")})
        return
    typer.echo(glance.headline(view))
    if view.error:
        typer.echo(output.as_commands(view.error, view.name))
    if view.rows:
        metrics = glance.columns(view)
        typer.echo()
        rows = [glance.cells(row, metrics) for row in view.rows]
        output.table(glance.heading(metrics), rows, left=0)
    typer.echo(f"\n{handle.plan.to_yaml().rstrip()}")


@app.command(epilog="Example: flnb runs watch quiet-otter")
def watch(
    run: RunName, lab: LabPath = output.DEFAULT_LAB, at: At = None, as_json: AsJson = False
) -> None:
    """Watch a run that another process drives.

    ^C ends the watching and not the run.
    """
    from flnb.cli.driving import spoken
    from flnb.core import progress

    display = progress.here()
    with labs.reached(lab, at) as there:
        while True:
            view = there.run_of(run).view
            display.show(spoken(view), final=view.status.over)
            if view.status.over:
                break
            time.sleep(WATCH_S)
    if as_json:
        output.data(output.facts(view))


@app.command(epilog="Example: flnb runs pause quiet-otter")
def pause(
    run: RunName, lab: LabPath = output.DEFAULT_LAB, at: At = None, as_json: AsJson = False
) -> None:
    """Ask a run to pause: it finishes its round and saves."""
    from flnb.core.errors import RoundStateError

    with labs.reached(lab, at) as there:
        handle = there.run_of(run)
        if handle.view.status.over:
            raise RoundStateError(f"run {handle.name!r} is {handle.view.status}: nothing goes on")
        handle.pause()
    _asked(handle.name, "pause", as_json=as_json)


@app.command(epilog="Example: flnb runs stop quiet-otter")
def stop(
    run: RunName, lab: LabPath = output.DEFAULT_LAB, at: At = None, as_json: AsJson = False
) -> None:
    """Ask a run to stop for good; everything it did stays."""
    from flnb.core.view import Status

    with labs.reached(lab, at) as there:
        handle = there.run_of(run)
        handle.stop()
        # A run that rests, with nobody to ask, is stopped right away.
        stands = there.run_of(run).view.status
    if stands is Status.STOPPED and not as_json:
        output.say(f"stopped {handle.name}")
    else:
        _asked(handle.name, "stop", as_json=as_json)


@app.command(epilog="Example: flnb runs resume quiet-otter")
def resume(
    run: RunName,
    lab: LabPath = output.DEFAULT_LAB,
    at: At = None,
    workers: Annotated[
        int | None, typer.Option(min=0, help="Processes that share the work.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a setting that may be changed."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Carry on with a run that was paused or interrupted."""
    from flnb.cli import driving
    from flnb.cli.runfile import changes

    # Whoever holds the lab can be handed a change only through its port.
    opened = labs.steered(lab, at) if settings else labs.reached(lab, at)
    with opened as there, labs.waiting(there):
        changed = changes(there.run_of(run).plan, settings) if settings else {}
        handle = there.resume(run, workers=workers, changes=changed)
    if not handle.driven_here:
        _asked(handle.name, "resume", as_json=as_json)
        return
    view = driving.drive(handle, lab)
    if as_json:
        output.data({**output.facts(view), "parameters_sha256": handle.parameters_sha256})


def _asked(name: str, what: str, *, as_json: bool) -> None:
    if as_json:
        output.data({"run": name, "asked": what})
    else:
        output.say(f"asked {name} to {what}; see: flnb runs watch {name}{addresses.options()}")


def _state(view: RunView) -> str:
    from flnb.core import glance

    return f"{glance.mark(view.status).shape} {glance.state(view)}"


def _latest(view: RunView) -> str:
    from flnb.core import glance

    value = view.curve[-1][1] if view.curve else math.nan
    return f"{glance.words(view.headline)} {glance.number(value)}" if view.headline else "–"


def _day(view: RunView) -> str:
    return f"{view.started_at.astimezone():%Y-%m-%d %H:%M}" if view.started_at else "–"
