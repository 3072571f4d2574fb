"""Studies, to look at; they are executed where their notebooks lie."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Response

from flnb.service.callers import Token, Way
from flnb.service.paging import Page, Part, part
from flnb.service.reading import passed_on
from flnb.service.shapes.studies import Study, StudyDetail
from flnb.service.shapes.text import Name
from flnb.transport.v1 import control_pb2 as pb

router = APIRouter(tags=["studies"], prefix="/api/studies")
StudyName = Annotated[Name, Path(description="Name of a study.", examples=["alpha"])]


@router.get("", response_model=Page[Study])
async def studies(way: Way, token: Token, page: Annotated[Part, Depends(part)]) -> Response:
    """All studies of the lab and how far they are, the one that was asked for last first."""
    return await passed_on(way, token, "StudyPage", page.request())


@router.get("/{study}", response_model=StudyDetail)
async def study_shown(
    way: Way, token: Token, study: StudyName, page: Annotated[Part, Depends(part)]
) -> Response:
    """A study with its cells: their settings, their runs, and what these were measured by.

    Why a cell failed, and where its notebook lies, is told to operators.
    """
    asked = pb.StudyRequest(study=study, limit=page.limit, offset=page.offset, measured=True)
    return await passed_on(way, token, "Study", asked)
