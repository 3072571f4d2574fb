"""Models in history, and their files."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from flnb.service.callers import Token, Way
from flnb.service.downloads import TENSORS, send_file
from flnb.service.heads import head_only
from flnb.service.naming import Version, run_of, version_of
from flnb.service.paging import Page, Part, part
from flnb.service.reading import told
from flnb.service.shapes.rounds import Model
from flnb.service.shapes.text import Name

router = APIRouter(tags=["models"], prefix="/api/models")
_FILE: dict[int | str, dict[str, Any]] = {
    200: {"content": {TENSORS: {"schema": {"type": "string", "format": "binary"}}}},
    206: {
        "description": "The part that `Range` asked for",
        "content": {TENSORS: {"schema": {"type": "string", "format": "binary"}}},
    },
    304: {"description": "`If-None-Match` names what you have"},
    416: {"description": "There is no such part"},
}


@router.get("")
async def models(
    way: Way,
    token: Token,
    page: Annotated[Part, Depends(part)],
    run: Annotated[Name | None, Query(description="Only of this run or branch.")] = None,
) -> Page[Model]:
    """Every model that is in history, the newest first."""
    asked = page.request(run=run_of(run or ""), committed=True)
    found = await told(way, token, "RoundPage", asked)
    return Page[Model](**found | {"items": [_model(one) for one in found["items"]]})


@router.get("/{version}")
async def model(way: Way, token: Token, version: Version) -> Model:
    """One model, without its values."""
    key = await version_of(way, token, version)
    return _model(await told(way, token, "RoundAt", key))


@router.get("/{version}/download", responses=_FILE, response_class=Response)
async def download(way: Way, token: Token, version: Version, request: Request) -> Response:
    """A model as a safetensors file; for operators.

    `Range` goes on where a download broke, `ETag` is the digest of the file.
    """
    key = await version_of(way, token, version)
    return await send_file(way, token, key, request.headers, head_only=head_only(request))


def _model(told_of: dict[str, Any]) -> Model:
    names = Model.model_fields.keys() & told_of.keys()
    return Model(
        version=told_of["id"],
        created_at=told_of["closed_at"],
        **{name: told_of[name] for name in names},
    )
