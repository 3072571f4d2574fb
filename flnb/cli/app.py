"""The command line: its groups, its global options, and the one place where it ends.

Commands live in one file a group. They import what they need when they are called: `flnb --help`
answers at once, and looking at runs never loads torch.
"""

from __future__ import annotations

import os
import sys
from importlib.metadata import version
from typing import Annotated

import typer

from flnb.cli import (
    addresses,
    certs,
    checkpoints,
    client,
    coordinator,
    doctor,
    moving,
    new,
    output,
    quickstart,
    report,
    run_group,
    running,
    runs,
    sql,
    study,
    token,
    ui,
    verify,
)

_RUN_FILE = """\n
A plan.yaml of four lines (all keys: docs/run-file.md):\n
task: {use: "flnb.tasks:digits", with: {clients: 20}}\n
simulate: {workers: 2, drop: 0.05}\n
plan: {strategy: fedavg, rounds: 30, invite: 10}\n
name: first-try
"""
_OF_RUNS = """\n
Of runs that are there (each has its --help):\n
flnb run branch RUN NAME: go another way from a checkpoint on\n
flnb run rollback RUN --to CKPT: take the head back\n
flnb run replay RUN --from CKPT: do rounds again without some clients
"""

app = typer.Typer(
    name="flnb",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Start with: flnb quickstart",
)
app.command(epilog="Example: flnb quickstart --rounds 40 --seed 7")(quickstart.quickstart)
app.add_typer(run_group.app, name="run")
_run = run_group.app.command
_run(
    run_group.PLAN,
    hidden=True,
    cls=run_group.PlanCommand,
    epilog=f"Example: flnb run plan.yaml --set plan.rounds=200{_RUN_FILE}{_OF_RUNS}",
)(running.run)
_run(epilog="Example: flnb run branch quiet-otter lr-3e-2 --from 30")(moving.branch)
_run(epilog='Example: flnb run rollback quiet-otter --to 30 --reason "poisoned"')(moving.rollback)
_run(epilog="Example: flnb run replay quiet-otter --from 30 --exclude client-7")(moving.replay)
app.command(epilog=f"Example: flnb check plan.yaml{_RUN_FILE}")(running.check)
app.add_typer(runs.app, name="runs")
app.add_typer(checkpoints.app, name="ckpt")
app.add_typer(study.app, name="study")
app.command(epilog="Example: flnb new my-lab")(new.new)
_of_study = study.app.command("report", epilog="Example: flnb study report fedavg -o fedavg.html")
_of_study(report.of_study)
app.command(epilog="Example: flnb report quiet-otter -o quiet-otter.html")(report.report)
app.add_typer(client.app, name="client")
app.add_typer(coordinator.app, name="coordinator")
app.add_typer(certs.app, name="certs")
app.add_typer(token.app, name="token")
app.command(epilog='Example: flnb sql "SELECT * FROM rounds LIMIT 5"')(sql.sql)
app.command(epilog="Example: flnb ui ./lab")(ui.ui)
app.command(epilog="Example: flnb doctor ./lab")(doctor.doctor)
app.command(epilog="Example: flnb verify ./lab")(verify.verify)


def _version(wanted: bool) -> bool:
    if wanted:
        typer.echo(f"flnb {version('flnb')}")
        raise typer.Exit
    return wanted


@app.callback()
def _global(
    show_version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Show the version."),
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks of errors.")] = False,
) -> None:
    """Federated learning: run plans, watch them live, ask them with SQL."""
    if debug:
        os.environ["FLNB_DEBUG"] = "1"


def main() -> int:
    """Run the command line; returns the exit code."""
    # Tasks of a run file are often in a module beside it, which a console script would not see.
    sys.path.insert(0, "")
    try:
        addresses.commands(app)()
    except KeyboardInterrupt:
        return output.INTERRUPTED
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else output.OK
    except Exception as error:  # the end of the road: nobody gets a bare traceback
        return output.fail(error)
    return output.OK
