"""`flnb ui`: the pages of a lab or of a coordinator elsewhere, in a browser."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import webbrowser
from typing import Annotated

import typer

from flnb.cli import addresses, output
from flnb.cli.output import AsJson


def ui(
    target: Annotated[
        str,
        typer.Argument(
            metavar="LAB|FILE|-", help="A lab, or the file of a pass; - reads a pass from stdin."
        ),
    ] = "",
    host: Annotated[str, typer.Option(help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one.")] = 0,
    origin: Annotated[
        str, typer.Option(metavar="URL", help="Beyond this machine: https://… of the proxy.")
    ] = "",
    people: Annotated[
        str, typer.Option(metavar="FILE", help="Who may sign in by OAuth: lines “ADDRESS: ROLE”.")
    ] = "",
    open_browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open the link in a browser.")
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Show every run live in a browser, until ^C; the link that is printed signs you in, once.

    Without an argument the pass in FLNB_PASS, or the lab in FLNB_LAB. Others sign in with a token
    that "flnb token NAME" made, or with --people by the OAuth provider that PANEL_OAUTH_… names.
    """
    named, secret = _handed_over(target)
    environment = {**os.environ, "BOKEH_RESOURCES": "server"} | secret
    if (state := addresses.state()) is not None:  # which may hold a password
        environment["FLNB_STATE"] = state
    command = [sys.executable, "-m", "flnb.dashboards", named, "--host", host]
    command += ["--port", str(port), "--origin", origin, "--people", people, "--until-eof"]
    # The pages end with their standard input, whatever becomes of this process.
    with subprocess.Popen(  # noqa: S603  # our own module
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    ) as pages:
        assert pages.stdout is not None, "a pipe was asked for"
        line = pages.stdout.readline()
        if line:
            _show(json.loads(line), open_browser=open_browser and not as_json, as_json=as_json)
        try:
            code = pages.wait()
        except KeyboardInterrupt:
            pages.communicate()
            raise
    raise typer.Exit(code)


def _handed_over(target: str) -> tuple[str, dict[str, str]]:
    """What the process of the pages is told as an argument, and what as its environment.

    Other people of the machine can read arguments, and not the environment: a pass goes by that.

    Raises:
        PlanError: A pass was to come on standard input, and none did.
    """
    from flnb.core.errors import PlanError  # both bring what help does not need
    from flnb.transport import Pass

    if target == "-":
        if not (line := sys.stdin.readline().strip()):
            raise PlanError(
                "no pass came on standard input",
                hint="flnb ui - < FILE, or flnb ui LAB",
            )
        return "-", {"FLNB_PASS": line}
    if Pass.begins(target):
        output.say(
            "others on this machine can read a pass in a command; safer: its file, FLNB_PASS, or -"
        )
        return "-", {"FLNB_PASS": target}
    return target or "-", {}


def _show(told: dict[str, str], *, open_browser: bool, as_json: bool) -> None:
    link = f"{told['address']}sign-in?ticket={told['ticket']}"
    if as_json:
        output.line({"address": told["address"], "link": link})
        return
    output.say(f"pages at {told['address']}; this link signs you in, once; ^C ends them")
    typer.echo(link)
    if open_browser:
        webbrowser.open(link)
