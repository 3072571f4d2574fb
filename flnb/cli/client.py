"""`flnb client …`: join a coordinator from where the data is; invite, list and revoke clients, change keys."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flnb.cli import output
from flnb.cli.output import AsJson, LabPath

if TYPE_CHECKING:
    from flnb.client import ClientEvent
    from flnb.coordinator import ClientRow
    from flnb.tasks import Task

app = typer.Typer(
    no_args_is_help=True,
    help="Join a coordinator as a client; invite, list and revoke clients, change keys.",
    epilog="Example: flnb client join INVITE --task flnb.tasks:digits",
)
ClientName = Annotated[str, typer.Argument(metavar="CLIENT", help="Name of the client.")]

InviteText = Annotated[
    str, typer.Argument(metavar="INVITE", help="The invite: the line itself, or its file.")
]
HomeFolder = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Where the client keeps its key and its updates."),
]
OwnCertificate = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="This client's certificate and key, where the coordinator asks."
    ),
]


@app.command(epilog="Example: flnb client join invite.txt --task my_tasks:heart --data ./data")
def join(
    invite: InviteText,
    task: Annotated[
        str,
        typer.Option(
            metavar="PACKAGE:FUNCTION", help="Makes the task, with the data that is here."
        ),
    ],
    data: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Given to the function as its argument `data`."),
    ] = None,
    home: HomeFolder = None,
    cert: OwnCertificate = None,
    as_json: AsJson = False,
) -> None:
    """Train with the data that is here, for a coordinator elsewhere; ^C leaves.

    The data never leaves this machine: updates of the model do.
    """
    from flnb.client import Client

    ended = []

    def show(event: ClientEvent) -> None:
        if as_json:
            output.line({"kind": event.kind, "text": event.text, "round": event.round})
        elif event.kind == "ended":
            ended.append(event.text)  # if by an error, that is said by itself
        else:
            output.say(f"{event.text}; ^C ends it" if event.kind == "reconnecting" else event.text)

    Client(invite, _task(task, data), home=home, certificate=cert, on_event=show).run()
    for text in ended:
        output.say(text)


@app.command(epilog="Example: flnb client rotate invite.txt")
def rotate(invite: InviteText, home: HomeFolder = None, cert: OwnCertificate = None) -> None:
    """Give the client that lives here another key; the one before is worth nothing then.

    Stop it first. It needs the invite that it joined with only for the address.
    """
    from flnb.client import rotate_key

    rotate_key(invite, home=home, certificate=cert)
    output.say("the client has a new key; whoever has a copy of the one before is shut out")


@app.command(epilog="Example: flnb client invite hospital-a --expires 2h")
def invite(
    client: ClientName,
    lab: LabPath = output.DEFAULT_LAB,
    expires: Annotated[str, typer.Option(help="For how long, such as 30m, 2h or 7d.")] = "2h",
    as_json: AsJson = False,
) -> None:
    """Let a client join the coordinator of a lab, once.

    The coordinator must have listened before: the invite says where. One that runs is asked, and
    refuses the name of a simulated client.
    """
    from flnb.cli import labs
    from flnb.coordinator import Lab, invite_by_lab

    with labs.steered(lab, None) as there:
        made = (
            invite_by_lab(there, client, expires)
            if isinstance(there, Lab)
            else there.invite(client, expires=expires)
        )
    if as_json:
        output.data(
            {
                "client": client,
                "expires_at": made.expires_at.isoformat(),
                "invite": made.text,
                "certificate": str(made.certificate) if made.certificate else None,
            }
        )
        return
    if made.certificate:
        output.say(f"hand {made.certificate} over, by another way than the line below")
    output.say(f"{client} can join until {made.expires_at:%Y-%m-%d %H:%M} UTC; run there:")
    typer.echo(made.command)


@app.command("list", epilog="Example: flnb client list --json")
def list_clients(lab: LabPath = output.DEFAULT_LAB, as_json: AsJson = False) -> None:
    """List the clients that have joined, and those that are invited."""
    from flnb.cli import labs
    from flnb.coordinator import ClientList, Lab, clients_of

    with labs.steered(lab, None) as there:
        rows = ClientList(clients_of(there), {}) if isinstance(there, Lab) else there.clients
    for line in rows.not_listed:
        output.say(line)
    if as_json:
        output.data([_facts(row) for row in rows])
    elif not rows:
        output.say("no client has joined or is invited; flnb client invite NAME lets one in")
    else:
        heads = ("client", "state", "examples", "task", "last seen", "invite until", "new key")
        output.table(heads, [_cells(row) for row in rows], left=2)


@app.command(epilog='Example: flnb client revoke hospital-a --reason "left the study"')
def revoke(
    client: ClientName,
    lab: LabPath = output.DEFAULT_LAB,
    reason: Annotated[str, typer.Option(help="Shown to the client and kept.")] = "revoked",
) -> None:
    """Revoke a client: its session ends within a second, its tokens and invites are void.

    An invite that nobody has used yet is void, too.
    """
    from flnb.cli.labs import existing
    from flnb.core.clock import SYSTEM_CLOCK

    existing(lab).store.state.revoke_client(client, reason, SYSTEM_CLOCK.now())
    output.say(f"{client} is revoked")


@app.command(epilog='Example: flnb client quarantine hospital-a --reason "odd losses"')
def quarantine(
    client: ClientName,
    reason: Annotated[str, typer.Option(help="Why; kept in the operations log.")],
    lab: LabPath = output.DEFAULT_LAB,
) -> None:
    """Let a client rest: it may stay connected, and is drawn for no round until it is released."""
    from flnb.cli import labs
    from flnb.coordinator import Lab, put_in_quarantine

    with labs.steered(lab, None) as there:
        if isinstance(there, Lab):
            put_in_quarantine(there.store, client, reason)
        else:
            there.quarantine(client, reason)
    output.say(f"{client} is not drawn until it is released: flnb client release {client}")


@app.command(epilog="Example: flnb client release hospital-a")
def release(
    client: ClientName,
    lab: LabPath = output.DEFAULT_LAB,
    reason: Annotated[str, typer.Option(help="Why; kept in the operations log.")] = "",
) -> None:
    """Let a client that rests be drawn again."""
    from flnb.cli import labs
    from flnb.coordinator import Lab, end_quarantine

    with labs.steered(lab, None) as there:
        if isinstance(there, Lab):
            end_quarantine(there.store, client, reason)
        else:
            there.release(client, reason)
    output.say(f"{client} is drawn again")


def _task(use: str, data: Path | None) -> Task:
    from flnb.core.errors import DataError
    from flnb.tasks import resolve

    if data is None:
        return resolve(use)
    if not data.exists():
        raise DataError(f"no folder {data}", hint="--data names where the examples are")
    return resolve(use, data=str(data))


def _facts(row: ClientRow) -> dict[str, object]:
    return {
        "client": row.client,
        "state": row.state,
        "n_examples": row.n_examples,
        "task": row.task,
        "joined_at": row.joined_at.isoformat() if row.joined_at else None,
        "last_seen_at": row.last_seen_at.isoformat() if row.last_seen_at else None,
        "invite_ends_at": row.invite_ends_at.isoformat() if row.invite_ends_at else None,
        "quarantined_at": row.quarantined_at.isoformat() if row.quarantined_at else None,
        "quarantine_reason": row.quarantine_reason,
        "rotated_at": row.rotated_at.isoformat() if row.rotated_at else None,
    }


def _cells(row: ClientRow) -> tuple[str, ...]:
    seen = f"{row.last_seen_at:%Y-%m-%d %H:%M:%S}" if row.last_seen_at else "never"
    ends = f"{row.invite_ends_at:%Y-%m-%d %H:%M} UTC" if row.invite_ends_at else ""
    rotated = f"{row.rotated_at:%Y-%m-%d %H:%M} UTC" if row.rotated_at else ""
    return row.client, row.doing, f"{row.n_examples:,}", row.task, seen, ends, rotated
