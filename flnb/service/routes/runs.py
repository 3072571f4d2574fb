"""Runs, and what is done to them."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Path, Query, Response

from flnb.service.callers import Token, Way
from flnb.service.naming import RunName, run_of, which
from flnb.service.paging import Page, Part, part
from flnb.service.reading import JSON, passed_on, rows_of, told
from flnb.service.shapes.runs import (
    Alias,
    Aliased,
    Apply,
    Branches,
    Changes,
    Fork,
    Given,
    Preview,
    RunDetail,
    Runs,
    Why,
)
from flnb.service.shapes.text import Name
from flnb.service.steering import apply, check, preview, run_in_full, shown, written
from flnb.transport.v1 import control_pb2 as pb

router = APIRouter(tags=["runs"], prefix="/api/runs")
_TASK_S = 600.0
"""A task that is made anew may have to read a lot first."""


@router.get("", response_model=Runs)
async def runs(
    way: Way,
    token: Token,
    page: Annotated[Part, Depends(part)],
    status: Annotated[Name | None, Query(description="Such as running.")] = None,
    run: Annotated[Name | None, Query(description="This one and its branches.")] = None,
) -> Response:
    """All runs with their last rounds, the newest first."""
    asked = page.request(state=status or "", run=run_of(run or ""))
    return await passed_on(way, token, "RunPage", asked)


@router.get("/{run}", response_model=RunDetail)
async def run_shown(way: Way, token: Token, run: RunName) -> Response:
    """One run, with its plan and its picture."""
    reply = await way.ask(token, "Run", pb.RunRequest(run=run_of(run)), pb.RunReply)
    return Response(written(reply), media_type=JSON)


@router.post("/{run}/pause")
async def pause(way: Way, token: Token, run: RunName) -> RunDetail:
    """Pause a run once its open round has closed; for operators. 409 if it does not go on."""
    await check(way, token, run_of(run), "pause")
    await way.ask(token, "Pause", pb.PauseRequest(run=run_of(run)), pb.ToldReply)
    return await run_in_full(way, token, run_of(run))


@router.post("/{run}/resume")
async def resume(
    way: Way, token: Token, run: RunName, asked: Annotated[Changes | None, Body()] = None
) -> RunDetail:
    """Go on with a run that rests, perhaps with another plan; for operators. 409 if it is over."""
    await check(way, token, run_of(run), "resume")
    changes = asked or Changes()
    request = pb.ResumeRequest(
        run=run_of(run), changes=json.dumps(changes.changes), workers=changes.workers
    )
    reply = await way.ask(token, "Resume", request, pb.RunReply, within_s=_TASK_S)
    return shown(reply)


@router.post("/{run}/stop")
async def stop(way: Way, token: Token, run: RunName) -> RunDetail:
    """End a run for good; for operators. 409 if it is finished."""
    await check(way, token, run_of(run), "stop")
    await way.ask(token, "Stop", pb.StopRequest(run=run_of(run)), pb.ToldReply)
    return await run_in_full(way, token, run_of(run))


@router.get("/{run}/branches")
async def branches(way: Way, token: Token, run: RunName) -> Branches:
    """All branches of a run, with what roll backs left behind."""
    found = await told(way, token, "History", pb.HistoryRequest(run=run_of(run)))
    lanes = [lane | {"labels": dict(lane["labels"])} for lane in found["lanes"]]
    return Branches(title=found["title"], lanes=[_with_texts(lane) for lane in lanes])


@router.post("/{run}/branches", status_code=201)
async def branch(way: Way, token: Token, run: RunName, asked: Fork) -> RunDetail:
    """Make a branch, which rests until it is resumed; for operators."""
    at = "null" if asked.at is None else json.dumps(asked.at)
    request = pb.BranchRequest(
        run=run_of(run),
        name=asked.name,
        at=at,
        changes=json.dumps(asked.changes),
        id=asked.id or "",
    )
    return shown(await way.ask(token, "Branch", request, pb.RunReply))


@router.get("/{run}/rollback")
async def roll_back_preview(
    way: Way,
    token: Token,
    run: RunName,
    to: Annotated[Name, Query(description="Number or name of a round.", examples=["2"])],
) -> Preview:
    """What a roll back would do. Nothing is done."""
    return await preview(way, token, run_of(run), which(to))


@router.post("/{run}/rollback")
async def roll_back(way: Way, token: Token, run: RunName, asked: Apply) -> RunDetail:
    """Roll back exactly as a preview said; for operators.

    409 with a fresh preview if the head has moved since. Applying the same preview twice does it once.
    """
    found = await run_in_full(way, token, run_of(run))
    await apply(way, token, found, asked)
    return await run_in_full(way, token, found.id)


@router.get("/{run}/aliases")
async def aliases(
    way: Way, token: Token, run: RunName, page: Annotated[Part, Depends(part)]
) -> Page[Given]:
    """Every giving of a name to a round of this run, the newest first."""
    data = await way.whole(token, "Aliases", pb.HistoryRequest(run=run_of(run)))
    return Page[Given](**page.of(rows_of(data)[::-1]))


@router.post("/{run}/aliases", status_code=201)
async def give_alias(way: Way, token: Token, run: RunName, asked: Alias) -> Aliased:
    """Let a name mean a committed round, if a condition holds there; for operators."""
    request = pb.AliasRequest(
        run=run_of(run),
        name=asked.name,
        which=json.dumps(asked.at),
        condition=asked.condition,
        reason=asked.reason,
    )
    return _aliased(asked.name, await told(way, token, "Alias", request))


@router.post("/{run}/aliases/{name}/revert")
async def revert_alias(
    way: Way,
    token: Token,
    run: RunName,
    name: Annotated[Name, Path(description="The alias.", examples=["production"])],
    asked: Why,
) -> Aliased:
    """Let a name mean again what it meant before; for operators."""
    request = pb.AliasRequest(run=run_of(run), name=name, reason=asked.reason)
    return _aliased(name, await told(way, token, "Alias", request))


def _aliased(name: str, found: dict[str, Any]) -> Aliased:
    closing = json.loads(found["closing"])
    of_round = {key: closing[key] for key in ("generation", "round")}
    version = f"{closing['run']}.{closing['generation']}.{closing['round']}"
    return Aliased(name=name.removeprefix("@"), version=version, run=found["name"], **of_round)


def _with_texts(lane: dict[str, Any]) -> dict[str, Any]:
    return lane | {"labels": {str(number): label for number, label in lane["labels"].items()}}
