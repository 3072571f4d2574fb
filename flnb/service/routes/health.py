"""Whether service and coordinator answer; for whoever asks, without a token."""

from __future__ import annotations

from fastapi import APIRouter, Response

from flnb import __version__
from flnb.service.callers import Way
from flnb.service.shapes.health import Health

router = APIRouter(tags=["health"])


@router.get("/api/health")
async def health(way: Way, response: Response) -> Health:
    """Whether the service answers, and its coordinator; 503 when that is gone."""
    response.headers["Cache-Control"] = "no-store"
    found = await way.status()
    return Health(status="ok", lab=found.lab, version=__version__)
