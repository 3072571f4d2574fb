"""Figures for Prometheus, for whoever has a token of a viewer, or for anybody on this machine if so asked."""

from __future__ import annotations

import json

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST

from flnb.core.errors import UnreachableError
from flnb.service.callers import Credentials, Way, checked
from flnb.service.gateway import Gateway
from flnb.transport.v1 import control_pb2 as pb

router = APIRouter(tags=["health"])


@router.get("/metrics", response_class=Response)
async def metrics(request: Request, way: Way, found: Credentials) -> Response:
    """Figures in the text format of Prometheus: docs/events.md lists them.

    Needs a token of a viewer; with `--metrics-open`, on loopback, none. Without a token that can be
    looked at, a coordinator that is gone is an error; else it shows as `flnb_up 0`.
    """
    state = request.app.state
    opened = state.settings.metrics_open
    try:
        vitals = await _vitals(way, way.viewer if opened else await checked(found))
    except UnreachableError:
        if not opened:
            raise
        vitals = None
    return Response(state.figures.text(vitals), media_type=CONTENT_TYPE_LATEST)


async def _vitals(way: Gateway, token: str) -> dict[str, object]:
    reply = await way.ask(token, "Vitals", pb.VitalsRequest(), pb.VitalsReply)
    found: dict[str, object] = json.loads(reply.vitals)
    return found
