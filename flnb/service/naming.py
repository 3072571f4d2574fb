"""How runs and rounds are called in an address.

A run goes by its name or its identity, a branch by `run:branch`: the `/` of its name would part the
address. A round, and the model after it, goes by `RUN.GENERATION.ROUND` for ever, and by `RUN@NAME` as
long as the name means it.
"""

from __future__ import annotations

import json
import re
from typing import Annotated

from fastapi import Path

from flnb.core.errors import NotFoundError
from flnb.service.gateway import Gateway
from flnb.service.shapes.text import Name
from flnb.transport.v1 import control_pb2 as pb

_KEY = re.compile(r"(?P<run>.+)\.(?P<generation>\d{1,9})\.(?P<round>\d{1,9})", re.ASCII)
RunName = Annotated[
    Name,
    Path(description="Name or identity of a run; `run:branch` for a branch.", examples=["first"]),
]
RoundName = Annotated[
    Name, Path(description="`RUN.GENERATION.ROUND`, as lists say it.", examples=["first.1.3"])
]
Version = Annotated[
    Name, Path(description="`RUN.GENERATION.ROUND`, or `RUN@NAME`.", examples=["first@best"])
]


def run_of(text: str) -> str:
    """The name of a run, as the coordinator knows it.

    Examples:
        >>> run_of("first:lower-lr")
        'first/lower-lr'
    """
    return text.replace(":", "/", 1)


def round_of(text: str) -> pb.RoundKey:
    """Which round is meant.

    Raises:
        NotFoundError: None can be called so.

    Examples:
        >>> round_of("first.1.3").round
        3
    """
    if (found := _KEY.fullmatch(text)) is None:
        error = NotFoundError("round", text)
        error.hint = "a round is called RUN.GENERATION.ROUND, as GET /api/rounds says it"
        raise error
    run = run_of(found["run"])
    return pb.RoundKey(run=run, generation=int(found["generation"]), round=int(found["round"]))


def which(text: str) -> str:
    """How somebody names a round of a run, as JSON.

    Examples:
        >>> which("3"), which("best")
        ('3', '"best"')
    """
    return str(int(text)) if text.isascii() and text.isdigit() else json.dumps(text)


async def version_of(way: Gateway, token: str, text: str) -> pb.RoundKey:
    """Which committed round a version is.

    Raises:
        NotFoundError: None is called so.
    """
    run, at, name = text.rpartition("@")
    if not (run and at):
        return round_of(text)
    request = pb.CheckpointRequest(run=run_of(run), which=which(name))
    closing = json.loads(json.loads(await way.whole(token, "Checkpoint", request))["closing"])
    return pb.RoundKey(run=closing["run"], generation=closing["generation"], round=closing["round"])
