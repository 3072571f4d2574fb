"""`flnb coordinator serve`: the coordinator of a lab as a service, for remote clients."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flnb.cli import output
from flnb.cli.output import AsJson, LabPath, NamedLab

if TYPE_CHECKING:
    from flnb.coordinator import Coordinator

_LOOK_EVERY_S = 0.5

app = typer.Typer(
    no_args_is_help=True,
    help="Run the coordinator of a lab as a service.",
    epilog="Example: flnb coordinator serve ./lab --host 127.0.0.1 --port 7443",
)


@app.command(epilog="Example: flnb coordinator serve ./lab --port 7443")
def serve(
    named: NamedLab = None,
    lab: LabPath = output.DEFAULT_LAB,
    host: Annotated[
        str | None,
        typer.Option(help="Address to listen at, as clients name it; else the remembered one."),
    ] = None,
    port: Annotated[int | None, typer.Option(help="Port; 0 takes a free one.")] = None,
    public_address: Annotated[
        str | None,
        typer.Option(
            metavar="HOST", help="How clients reach it, if not at --host, such as 0.0.0.0."
        ),
    ] = None,
    tls_dir: Annotated[
        Path | None,
        typer.Option(
            "--tls-dir", metavar="DIR", help="Certificates that flnb certs made; else the lab's."
        ),
    ] = None,
    mutual_tls: Annotated[
        bool | None,
        typer.Option(
            "--mutual-tls/--no-mutual-tls",
            help="Let in only clients with a certificate of the authority.",
        ),
    ] = None,
    http_port: Annotated[
        int | None,
        typer.Option(
            "--http-port",
            metavar="PORT",
            help="Serve REST and events there, too; 0 takes a free one.",
        ),
    ] = None,
    http_host: Annotated[
        str, typer.Option("--http-host", metavar="HOST", help="Address of that port.")
    ] = "127.0.0.1",
    cors: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ORIGIN",
            help="A page's origin that may call, http://localhost:5173; repeat it.",
        ),
    ] = None,
    token_in_url: Annotated[
        bool,
        typer.Option(
            "--token-in-url", help="Take a WebSocket's token from its address, where others see it."
        ),
    ] = False,
    metrics_open: Annotated[
        bool,
        typer.Option("--metrics-open", help="Show /metrics to this machine without a token."),
    ] = False,
    log_json: Annotated[
        bool, typer.Option("--log-json", help="Log as JSON, one object a line, on stderr.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Hold a lab, made if it is missing, and listen for remote clients until ^C or SIGTERM.

    Runs that were going on are carried on. Others are started, paused and resumed from other
    terminals: flnb client invite, flnb runs.
    """
    from flnb.cli import addresses, labs

    lab = named or lab
    if log_json:
        _log_as_json()
    if not addresses.is_shared(lab) and not labs.is_lab(lab):
        output.say(f"there is no lab at {lab}: making a new one")
    from flnb.coordinator import Coordinator

    with Coordinator(labs.opened(lab), guest=False) as coordinator:
        address = coordinator.listen(
            host,
            port,
            tls_dir=tls_dir,
            mutual_tls=mutual_tls,
            public_address=public_address,
            http_port=http_port,
            http_host=http_host,
            cors=cors or (),
            token_in_url=token_in_url,
            metrics_open=metrics_open,
            log_json=log_json,
        )
        http = coordinator.http
        if as_json:
            output.line({"address": address, "lab": coordinator.lab.address, "http": http})
        else:
            if http is not None:
                output.say(f"http at {http}, docs at /docs")
            output.say(f"listening at {address}; ^C saves and stops")
        resumed = coordinator.carry_on()
        for name in resumed:
            output.say(f"{name} goes on")
        _until_told_to_stop(coordinator)
    if coordinator.lost is not None:
        raise coordinator.lost


def _log_as_json() -> None:
    from flnb.core.errors import PlanError

    try:
        from flnb.service.logs import configure
    except ModuleNotFoundError as error:
        raise PlanError(
            f"--log-json needs {error.name}, which is not installed",
            hint="pip install 'flnb[service]'",
        ) from None
    configure(as_json=True)


def _until_told_to_stop(coordinator: Coordinator) -> None:
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    while coordinator.running and not stop.wait(_LOOK_EVERY_S):
        pass  # it stops by itself when another one takes the lab over
