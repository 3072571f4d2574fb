"""`flnb certs …`: an authority of one's own, and the certificates that it issues."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flnb.cli import output
from flnb.cli.output import AsJson, LabPath

if TYPE_CHECKING:
    from flnb.transport.tls_folder import Issued

app = typer.Typer(
    no_args_is_help=True,
    help="Make an authority, and certificates for a coordinator and its clients.",
    epilog="Example: flnb certs init --dir ./tls",
)
Folder = Annotated[
    Path | None,
    typer.Option("--dir", metavar="DIR", help="Where they lie; by default in the lab."),
]
Days = Annotated[int, typer.Option(help="How long they are good.", min=1)]


@app.command(epilog="Example: flnb certs init --dir ./tls")
def init(
    folder: Folder = None,
    lab: LabPath = output.DEFAULT_LAB,
    name: Annotated[str, typer.Option(help="Name of the authority.")] = "flnb",
    as_json: AsJson = False,
) -> None:
    """Make an authority; clients that trust its certificate trust what it issues.

    Its key is ca-key.pem: whoever has it can pass for the coordinator.
    """
    from flnb.transport import Authority

    place = _place(folder, lab)
    authority = Authority.create(place, name)
    facts = {
        "folder": str(place),
        "fingerprint": authority.fingerprint,
        "expires_at": authority.expires_at.isoformat(),
    }
    if as_json:
        output.data(facts)
        return
    output.say(f"made an authority in {place}, good until {authority.expires_at:%Y-%m-%d}")
    output.say(f"fingerprint {authority.fingerprint}")
    output.say(f"next: flnb certs issue HOST --dir {place}")


@app.command(epilog="Example: flnb certs issue fl.hospital.example 10.0.0.5 --dir ./tls")
def issue(
    hosts: Annotated[
        list[str] | None,
        typer.Argument(metavar="HOST", help="Names and addresses of the coordinator."),
    ] = None,
    client: Annotated[
        list[str] | None,
        typer.Option("--client", metavar="NAME", help="A client, for mutual TLS; repeat for more."),
    ] = None,
    folder: Folder = None,
    lab: LabPath = output.DEFAULT_LAB,
    days: Days = 397,
    as_json: AsJson = False,
) -> None:
    """Issue the coordinator's certificate, or certificates of clients.

    What was issued before for the same is replaced. A client's file is handed over to it.
    """
    from flnb.core.errors import PlanError
    from flnb.transport.tls_folder import TlsFolder

    if not hosts and not client:
        raise PlanError("nothing to issue", hint="name a HOST, or --client NAME")
    tls = TlsFolder(_place(folder, lab))
    issued = [tls.issue_server(hosts, days)] if hosts else []
    _show([*issued, *(tls.issue_client(name, days) for name in client or ())], as_json=as_json)


@app.command(epilog="Example: flnb certs renew --dir ./tls")
def renew(
    folder: Folder = None, lab: LabPath = output.DEFAULT_LAB, as_json: AsJson = False
) -> None:
    """Issue again what is in the last third of its life, and list everything.

    A coordinator that runs takes its new certificate by itself, and renews it by itself where the
    authority's key is beside it. A client's file must be handed over again.
    """
    from flnb.transport.tls_folder import TlsFolder

    _show(TlsFolder(_place(folder, lab)).renew(), as_json=as_json)


def _place(folder: Path | None, lab: Path) -> Path:
    from flnb.cli.addresses import is_shared
    from flnb.cli.labs import existing, is_lab
    from flnb.core.errors import NotFoundError

    if folder is not None:
        return folder
    if is_shared(lab):
        return existing(lab).path / "tls"
    if not is_lab(lab):
        error = NotFoundError("lab", lab)
        error.hint = "say where the certificates lie with --dir DIR, or where the lab is with --lab"
        raise error
    return lab / "tls"


def _show(issued: list[Issued], *, as_json: bool) -> None:
    if as_json:
        output.data([_facts(one) for one in issued])
        return
    rows = [
        (
            ", ".join(one.names),
            "issued" if one.changed else "good",
            f"{one.expires_at:%Y-%m-%d}",
            one.path,
        )
        for one in issued
    ]
    if rows:
        output.table(("for", "state", "until", "file"), rows, left=4)
    else:
        output.say("nothing has been issued; flnb certs issue HOST")


def _facts(one: Issued) -> dict[str, object]:
    return {
        "file": str(one.path),
        "names": list(one.names),
        "expires_at": one.expires_at.isoformat(),
        "issued": one.changed,
    }
