"""Closed rounds, and stopping one that is open."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Response

from flnb.service.callers import Token, Way
from flnb.service.naming import RoundName, round_of, run_of, version_of
from flnb.service.paging import Page, Part, part
from flnb.service.reading import passed_on, plain, told
from flnb.service.shapes.rounds import Round, RoundDetail
from flnb.service.shapes.runs import RunDetail
from flnb.service.shapes.text import Name
from flnb.service.steering import run_in_full
from flnb.transport.v1 import control_pb2 as pb

router = APIRouter(tags=["rounds"], prefix="/api/rounds")


@router.get("", response_model=Page[Round])
async def rounds(
    way: Way,
    token: Token,
    page: Annotated[Part, Depends(part)],
    run: Annotated[Name | None, Query(description="Only of this run or branch.")] = None,
    committed: Annotated[bool, Query(description="Only those with a model in history.")] = False,
) -> Response:
    """Closed rounds, the newest first; of one run by their numbers."""
    asked = page.request(run=run_of(run or ""), committed=committed)
    return await passed_on(way, token, "RoundPage", asked)


@router.get("/{round}")
async def round_in_full(way: Way, token: Token, round: RoundName) -> RoundDetail:
    """A closed round, also one that a roll back left behind; with its clients for operators."""
    found = await told(way, token, "RoundAt", await version_of(way, token, round))
    closing = plain(found.pop("closing"))
    rows = {"clients": _clients(closing), "events": _rows(closing["events"])}
    return RoundDetail(**found | rows)


@router.post("/{round}/stop")
async def stop(way: Way, token: Token, round: RoundName) -> RunDetail:
    """Give an open round up and end its run, for good; for admins. 409 if it is not open."""
    key = round_of(round)
    await way.ask(token, "StopRound", key, pb.ToldReply)
    return await run_in_full(way, token, key.run)


def _rows(columns: dict[str, list[Any]]) -> list[dict[str, Any]]:
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _clients(closing: dict[str, Any]) -> list[dict[str, Any]]:
    """Everybody who was given work, with the update if there is one."""
    updates = {row["client"]: row for row in _rows(closing["updates"])}
    nothing = dict.fromkeys(
        ("n_examples", "weight", "loss", "norm", "bytes_up", "arrived_s", "train_s")
    )
    return [
        {**nothing, **updates.get(row["client"], {}), **row}
        for row in _rows(closing["assignments"])
    ]
