"""Identities: what a run, a client and a commit are called."""

from __future__ import annotations

import secrets
from typing import NewType

RunId = NewType("RunId", str)
"""Opaque and unique for ever; a run also has a *name*, unique in its lab, that people use."""
ClientId = NewType("ClientId", str)
"""Unique in a lab: `c000`, `c001` … for simulated clients, a chosen name for remote ones."""

_MOODS = """amber bold brave brisk calm clear clever cosmic crisp daring deep eager early fair fond gentle
glad golden happy honest humble jolly keen kind light lively lucid merry mild modest noble patient plain
proud quick quiet rapid sharp shy silent smart snug solid spry steady still sunny swift tidy warm wise"""
_ANIMALS = """badger beaver bison crane curlew deer dove eagle egret falcon finch fox gecko gull hare heron
ibex ibis jay kestrel kiwi lark linnet lynx marten mole moose newt orca otter owl panda perch petrel plover
puffin quail raven robin seal shrew stoat stork swan swift tapir tern thrush trout vole wagtail whale wren"""
_DIGITS = 10
"""No round has so many."""


def new_run_id() -> RunId:
    """Make an identity for a run."""
    return RunId(secrets.token_hex(6))


def new_run_name(taken: set[str]) -> str:
    """Make a name that people can say, such as `quiet-otter`, not among `taken`."""
    for _ in range(64):
        name = f"{secrets.choice(_MOODS.split())}-{secrets.choice(_ANIMALS.split())}"
        if name not in taken:
            return name
    return f"run-{secrets.token_hex(6)}"


def which_of(text: str) -> int | str:
    """A checkpoint as people write it: the number of a round, or a name.

    Examples:
        >>> which_of("30"), which_of("@best")
        (30, '@best')
    """
    is_number = text.isascii() and text.removeprefix("-").isdecimal() and len(text) < _DIGITS
    return int(text) if is_number else text
