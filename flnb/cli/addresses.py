"""Naming a lab in a terminal: a folder, or an address with a database for its state.

Every command that takes a lab gets `--state` here, in one place; few need to know of it.
"""

from __future__ import annotations

import re
import shlex
from contextvars import ContextVar
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.main import get_command

_STATE: ContextVar[str | None] = ContextVar("flnb_state", default=None)
"""What `--state` says in this call of the program."""
_LAB: ContextVar[Path | None] = ContextVar("flnb_lab", default=None)
"""The lab that this call of the program has opened."""
DEFAULT_LAB = Path("lab")
_FOLDED = "s3:/"
"""What becomes of `s3://` when a command line option is read as a path."""


def address(path: Path) -> str | Path:
    """The lab that an option names, as `flnb.open` takes it."""
    text = str(path)
    return f"s3://{text.removeprefix(_FOLDED)}" if text.startswith(_FOLDED) else path


def state() -> str | None:
    """Where the state of a shared lab is, as `flnb.open` takes it."""
    return _STATE.get()


def remember(path: Path) -> None:
    """Note which lab this call of the program opens."""
    _LAB.set(path)


def options(lab: Path | None = None) -> str:
    """The options that find a lab again, for a command that somebody copies; without a password.

    Args:
        lab: The lab; by default the one that was opened.
    """
    lab, url = lab or _LAB.get() or DEFAULT_LAB, state()
    named = "" if lab == DEFAULT_LAB else f" --lab {shlex.quote(str(address(lab)))}"
    return named if url is None else f"{named} --state {shlex.quote(_shown(url))}"


def is_shared(path: Path) -> bool:
    """Whether the lab keeps its state in a database."""
    return isinstance(address(path), str) or state() is not None


def commands(app: typer.Typer) -> Any:
    """The command line of an app, with `--state` wherever a lab is named."""
    _LAB.set(None)
    whole = get_command(app)
    template = typer.Typer()
    template.command()(_template)
    (option,) = (one for one in get_command(template).params if one.name == "state_url")
    option.expose_value = False
    _add(whole, option)
    return whole


def _shown(url: str) -> str:
    return re.sub("(password=)[^&]*", r"\1***", re.sub("(://[^:/@]*):.*@", r"\1:***@", url))


def _remember(url: str | None) -> str | None:
    _STATE.set(url)
    return url


def _template(
    state_url: Annotated[
        str | None,
        typer.Option(
            "--state",
            metavar="URL",
            callback=_remember,
            help="postgresql://… that holds the lab's state; for s3:// by default DATABASE_URL.",
        ),
    ] = None,
) -> None:
    """Hold the option that is added to the others."""
    _remember(state_url)


def _add(command: Any, option: Any) -> None:
    for below in getattr(command, "commands", {}).values():
        _add(below, option)
    names = [one.name for one in command.params]
    for name in {"lab", "target"}.intersection(names):  # a target may be a lab
        command.params.insert(names.index(name) + 1, option)
