"""Whether all is well, for whoever asks; and how the lab stands, for whoever may."""

from __future__ import annotations

import json
from typing import Annotated

from fastapi import APIRouter, Query, Response

from flnb import __version__
from flnb.service.callers import Token, Way
from flnb.service.naming import run_of
from flnb.service.paging import Part
from flnb.service.reading import JSON, told
from flnb.service.shapes.lab import Health, Standing, Summary
from flnb.service.shapes.text import Name

router = APIRouter(tags=["lab"])


@router.get("/api/health")
async def health(way: Way, response: Response) -> Health:
    """Whether the service answers, and its coordinator; needs no token."""
    response.headers["Cache-Control"] = "no-store"
    found = await way.status()
    return Health(status="ok", lab=found.lab, version=__version__)


@router.get("/api/status")
async def status(way: Way, token: Token) -> Standing:
    """How the coordinator stands, and as whom you ask."""
    found = await way.status(token)
    return Standing(lab=found.lab, role=found.role, coordinator=json.loads(found.state))


@router.get("/api/metrics/summary", response_model=Summary)
async def summary(
    way: Way,
    token: Token,
    run: Annotated[
        Name | None,
        Query(description="Only this one and its branches; `rounds` are those of this one alone."),
    ] = None,
    limit: Annotated[int, Query(ge=1, le=100, description="So many runs at most.")] = 20,
) -> Response:
    """The newest numbers of all runs."""
    asked = Part(limit=limit).request(run=run_of(run or ""))
    found = await told(way, token, "RunPage", asked)
    told_on = {"runs": found["total"], "rounds": found["rounds"], "latest": found["items"]}
    return Response(json.dumps(told_on), media_type=JSON)
