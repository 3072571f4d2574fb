"""What was done and what happened, and questions in SQL."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from flnb.service.accepting import best_of
from flnb.service.callers import Token, Way
from flnb.service.naming import run_of
from flnb.service.paging import Page, Part, part
from flnb.service.reading import JSON, as_csv, as_json, passed_on
from flnb.service.shapes.lab import Events, Operation, Question, Rows
from flnb.service.shapes.text import Name
from flnb.transport.v1 import control_pb2 as pb

router = APIRouter(tags=["records"], prefix="/api")
CSV, ARROW = "text/csv", "application/vnd.apache.arrow.stream"
_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "model": Rows,
        "content": {
            CSV: {"schema": {"type": "string"}},
            ARROW: {"schema": {"type": "string", "format": "binary"}},
        },
    },
}


@router.get("/operations", response_model=Page[Operation])
async def operations(
    way: Way,
    token: Token,
    page: Annotated[Part, Depends(part)],
    run: Annotated[Name | None, Query(description="Only on this run or branch.")] = None,
    actor: Annotated[Name | None, Query(description="Only by whom.", examples=["dr-lee"])] = None,
    verb: Annotated[Name | None, Query(description="Only this.", examples=["rollback"])] = None,
) -> Response:
    """The operations log, the newest first; for operators."""
    asked = page.request(run=run_of(run or ""), actor=actor or "", verb=verb or "")
    return await passed_on(way, token, "OperationPage", asked)


@router.get("/events", response_model=Events)
async def events(
    way: Way,
    token: Token,
    after: Annotated[Name | None, Query(description="A cursor; by default the beginning.")] = None,
    limit: Annotated[int, Query(ge=1, le=500, description="So many at most.")] = 100,
) -> Response:
    """What is durable after a cursor, the oldest first: closed rounds and operations.

    The same events as those of the WebSocket, for whoever asks now and then.
    """
    asked = pb.PageRequest(limit=limit, after=after or "")
    return await passed_on(way, token, "EventPage", asked)


@router.post("/sql", responses=_ANSWERS, response_class=Response)
async def sql(way: Way, token: Token, asked: Question, request: Request) -> Response:
    """Ask one SELECT; viewers ask `runs studies study_cells rounds metrics events`, operators all tables.

    `Accept` says how it is answered: as JSON, CSV or a stream of Arrow.
    """
    kind = best_of(request.headers.get("accept", "*/*"), (JSON, CSV, ARROW))
    if kind is None:
        raise HTTPException(406, f"answers are {JSON}, {CSV} or {ARROW}")
    question = pb.SqlRequest(query=asked.query, rows=asked.rows, timeout_s=asked.timeout_s)
    data = await way.whole(token, "Sql", question)
    if kind == ARROW:
        return Response(data, media_type=ARROW)
    if kind == CSV:
        return Response(await asyncio.to_thread(as_csv, data), media_type=CSV)
    return Response(await asyncio.to_thread(as_json, data), media_type=JSON)
