"""The page of the command line: every command with its arguments and options, as the program takes them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from docs.made.markdown import code, page, table
from flnb.cli import addresses, app

_ABOUT = """Every command that there is, as `flnb … --help` tells it. In the tables a value in capitals is what an option
wants to have. `-h` and `--help` are understood everywhere. What the exit codes mean stands [with the errors](errors.md)."""

_OPTION = re.compile(r"(?<![\w`-])(--[a-z][\w-]*)")
_WORDS = {"int": "N", "float": "NUMBER", "str": "TEXT"}


def commands(group: Any = None, name: str = "flnb") -> Iterator[tuple[str, Any]]:
    """Walk over everything that can be called.

    Args:
        group: Where to begin; by default at the whole program.
        name: What is typed to get there.

    Yields:
        What is typed, and the command; groups before what is in them.
    """
    group = addresses.commands(app.app) if group is None else group
    yield name, group
    for word, command in getattr(group, "commands", {}).items():
        typed = name if command.hidden else f"{name} {word}"  # `flnb run FILE` needs no word
        yield from commands(command, typed)


def written() -> str:
    """Write the page."""
    seen: dict[str, list[Any]] = {}
    for name, command in commands():
        seen.setdefault(name, []).append(command)
    return page("Commands", _ABOUT, *(_section(name, found) for name, found in seen.items()))


def _section(name: str, found: list[Any]) -> str:
    parts = [f"## {code(name)}"]
    for command in found:
        parts += [_said(command.help), _usage(name, command), _parameters(command)]
        parts += [_example(command.epilog)]
    return "\n\n".join(filter(None, parts))


def _said(text: str | None) -> str:
    return _OPTION.sub(r"`\1`", (text or "").strip())


def _usage(name: str, command: Any) -> str:
    below = [word for word, one in getattr(command, "commands", {}).items() if not one.hidden]
    if below:
        return "Commands: " + ", ".join(code(word) for word in below) + "."
    arguments = [_argument(one) for one in command.params if one.param_type_name == "argument"]
    return f"```text\n{' '.join([name, *arguments, '[options]'])}\n```"


def _argument(one: Any) -> str:
    word = (one.metavar or one.name).upper() + ("…" if one.nargs == -1 else "")
    return word if one.required else f"[{word}]"


def _parameters(command: Any) -> str:
    rows = [
        [code(spelling(one)), _said(one.help), _default(one)]
        for one in command.params
        if not getattr(one, "hidden", False) and "--help" not in one.opts
    ]
    return table(["", "meaning", "default"], rows) if rows else ""


def spelling(one: Any) -> str:
    """How a parameter is typed: its names, and what it wants to have."""
    if one.param_type_name == "argument":
        return _argument(one)
    names = ", ".join([*one.opts, *one.secondary_opts])
    wants = "" if one.is_flag else f" {one.metavar or _kind(one)}"
    return names + wants


def _kind(one: Any) -> str:
    kind = one.bare_type() if callable(one.bare_type) else str(one.bare_type)
    return _WORDS.get(kind, kind)


def _default(one: Any) -> str:
    if one.required:
        return "needed"
    value = one.default
    nothing = value is None or value is False or value == () or callable(value)
    shown = [] if nothing else ["yes" if value is True else code(getattr(value, "value", value))]
    named = [code(one.envvar)] if isinstance(one.envvar, str) else []
    return ", else ".join([*named, *shown])


def _example(epilog: str | None) -> str:
    lines = [line.strip() for line in (epilog or "").splitlines() if line.strip()]
    return "```text\n" + "\n".join(lines) + "\n```" if lines else ""
