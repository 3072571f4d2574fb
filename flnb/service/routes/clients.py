"""Remote clients: who is here, what each did, who may come, who rests."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Response

from flnb.core.errors import NotFoundError, PlanError, did_you_mean
from flnb.service.callers import Token, Way
from flnb.service.gateway import Gateway
from flnb.service.naming import run_of
from flnb.service.paging import Page, Part, part
from flnb.service.reading import told
from flnb.service.shapes.lab import Client, ClientRound, Clients, Invite, Invited, Rest
from flnb.service.shapes.text import Name
from flnb.transport.v1 import control_pb2 as pb

router = APIRouter(tags=["clients"], prefix="/api")
STATES = (
    "idle",
    "training",
    "offline",
    "unknown",
    "invited",
    "revoked",
    "simulated",
    "quarantined",
)
"""What a client can be; `simulated` and `unknown` as in `ClientRow`."""
ClientName = Annotated[Name, Path(description="Name of a client.", examples=["hospital-a"])]


@router.get("/clients")
async def clients(
    way: Way,
    token: Token,
    page: Annotated[Part, Depends(part)],
    state: Annotated[Name | None, Query(description="Such as idle; or quarantined.")] = None,
    contains: Annotated[Name | None, Query(description="What the name contains.")] = None,
) -> Clients:
    """The remote clients of the lab and whoever is invited, by name; for operators.

    Simulated ones are counted, and not listed; each has a history under its name.
    """
    if state is not None and state not in STATES:
        raise PlanError(f"no client can be {state!r}", hint=did_you_mean(state, STATES))
    rows = [
        row
        for row in await _all(way, token)
        if (contains or "") in row["client"]
        and (state in {None, row["state"]} or (state == "quarantined" and row["quarantined_at"]))
    ]
    simulated = json.loads((await way.status(token)).state)["simulated"]
    return Clients(**page.of(rows), simulated=simulated)


@router.get("/clients/{client}")
async def client_shown(way: Way, token: Token, client: ClientName) -> Client:
    """One client; for operators."""
    return await _one(way, token, client)


@router.get("/clients/{client}/history")
async def history(
    way: Way,
    token: Token,
    client: ClientName,
    page: Annotated[Part, Depends(part)],
    run: Annotated[Name | None, Query(description="Only in this run or branch.")] = None,
) -> Page[ClientRound]:
    """What a client did in each round, the newest first; simulated ones too; for operators."""
    asked = page.request(client=client, run=run_of(run or ""))
    return Page[ClientRound](**await told(way, token, "ClientPage", asked))


@router.post("/clients/{client}/quarantine")
async def quarantine(way: Way, token: Token, client: ClientName, asked: Rest) -> Client:
    """Let a client rest: it is drawn for no round until it is released; for operators."""
    request = pb.QuarantineRequest(client=client, reason=asked.reason)
    await way.ask(token, "Quarantine", request, pb.ToldReply)
    return await _one(way, token, client)


@router.post("/clients/{client}/release")
async def release(way: Way, token: Token, client: ClientName, asked: Rest) -> None:
    """Let a client that rests be drawn again; for operators."""
    request = pb.QuarantineRequest(client=client, reason=asked.reason)
    await way.ask(token, "Release", request, pb.ToldReply)


@router.post("/clients/{client}/revoke")
async def revoke(way: Way, token: Token, client: ClientName, asked: Rest) -> Client:
    """Shut a client out, until it is invited again; for admins."""
    request = pb.RevokeRequest(client=client, reason=asked.reason)
    await way.ask(token, "Revoke", request, pb.RevokeReply)
    return await _one(way, token, client)


@router.post("/invites", status_code=201)
async def invite(way: Way, token: Token, asked: Invite, response: Response) -> Invited:
    """Let a client join, once; for admins. The invite is shown here and nowhere else."""
    response.headers["Cache-Control"] = "no-store"
    request = pb.InviteRequest(client=asked.client, expires=asked.expires)
    made = await way.ask(token, "Invite", request, pb.InviteReply)
    return Invited(
        client=asked.client,
        text=made.text,
        expires_at=made.expires_at,
        certificate=made.certificate,
    )


async def _all(way: Gateway, token: str) -> list[dict[str, Any]]:
    reply = await way.ask(token, "Clients", pb.ClientsRequest(), pb.ClientsReply)
    rows: list[dict[str, Any]] = json.loads(reply.clients)
    return rows


async def _one(way: Gateway, token: str, name: str) -> Client:
    rows = await _all(way, token)
    for row in rows:
        if row["client"] == name:
            return Client(**row)
    raise NotFoundError("client", name, [row["client"] for row in rows])
