"""`flnb token …`: passes with which people hold a coordinator from elsewhere."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from flnb.cli import output
from flnb.cli.output import AsJson, LabPath

_GIVE = "give"


class _NamesGive(TyperGroup):
    """`flnb token dr-lee` gives a pass: whatever is no command here is a name to give one to."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the command in front that people leave out."""
        if args and args[0] not in {*self.commands, *ctx.help_option_names}:
            args = [_GIVE, *args]
        parsed: list[str] = super().parse_args(ctx, args)
        return parsed


app = typer.Typer(
    cls=_NamesGive,
    no_args_is_help=True,
    help="Give people passes to a coordinator, list them, revoke them.",
    epilog="Example: flnb token dr-lee --role viewer --expires 30d",
)
Person = Annotated[str, typer.Argument(metavar="NAME", help="Whose pass it is.")]


@app.command(_GIVE, epilog="Example: flnb token give dr-lee --role operator")
def give(
    name: Person,
    role: Annotated[
        str, typer.Option(metavar="ROLE", help="viewer, operator or admin.")
    ] = "viewer",
    expires: Annotated[str, typer.Option(help="For how long, such as 12h or 30d.")] = "30d",
    lab: LabPath = output.DEFAULT_LAB,
    as_json: AsJson = False,
) -> None:
    """Give somebody a pass; "flnb token NAME" is enough. It is shown once.

    Viewers see aggregates, operators single clients too and drive runs, admins let others in. The
    coordinator must have listened before: the pass says where.
    """
    from flnb.cli.labs import existing
    from flnb.coordinator import grant_by_lab

    made = grant_by_lab(existing(lab), name, role, expires)
    until = made.expires_at
    if as_json:
        facts: dict[str, object] = {"name": name, "role": role, "expires_at": until.isoformat()}
        output.data({**facts, "pass": made.text, "certificate": made.certificate})
        return
    output.say(f"{name} is {role} until {until:%Y-%m-%d %H:%M} UTC: flnb.connect(PASS)")
    if made.certificate is not None:
        output.say(f"hand over this file, too, by another way: {made.certificate}")
    typer.echo(made.text)


@app.command("list", epilog="Example: flnb token list --json")
def list_tokens(lab: LabPath = output.DEFAULT_LAB, as_json: AsJson = False) -> None:
    """List who has a pass; the passes themselves are kept nowhere."""
    from flnb.cli.labs import existing
    from flnb.coordinator import token_state

    records = existing(lab).store.state.tokens()
    if as_json:
        output.data(
            [
                {
                    "name": one.name,
                    "role": one.role,
                    "created_at": one.created_at.isoformat(),
                    "expires_at": one.expires_at.isoformat(),
                    "revoked_at": one.revoked_at.isoformat() if one.revoked_at else None,
                }
                for one in records
            ]
        )
    elif not records:
        output.say("nobody has a pass; flnb token NAME gives one")
    else:
        cells = [(one.name, one.role, token_state(one)) for one in records]
        output.table(("name", "role", "state"), cells, left=3)


@app.command(epilog="Example: flnb token revoke dr-lee")
def revoke(name: Person, lab: LabPath = output.DEFAULT_LAB, as_json: AsJson = False) -> None:
    """Revoke all passes of somebody; what is open with them ends within a second."""
    from flnb.cli.labs import existing
    from flnb.coordinator import revoked_words

    count = existing(lab).store.state.revoke_tokens(name)
    if as_json:
        output.data({"name": name, "revoked": count})
    else:
        output.say(revoked_words(name, count))
