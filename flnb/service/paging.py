"""Long lists go in pages: `limit` and `offset` in, `items` and `total` out."""

from __future__ import annotations

from typing import Annotated, Any, Generic, TypeVar

from fastapi import Query
from pydantic import BaseModel, Field

from flnb.transport.v1 import control_pb2 as pb

MOST = 500
_FURTHEST = 2**31 - 1
Item = TypeVar("Item")


class Page(BaseModel, Generic[Item]):
    """A part of a list, the newest first."""

    items: list[Item]
    total: int = Field(description="How many there are in all.", examples=[128])
    limit: int = Field(examples=[50])
    offset: int = Field(examples=[0])


class Part(BaseModel):
    """Which part of a list is wanted."""

    limit: int = 50
    offset: int = 0

    def of(self, rows: list[Any]) -> dict[str, Any]:
        """Take the part out of a list that is here in full."""
        items = rows[self.offset : self.offset + self.limit]
        return {"items": items, "total": len(rows), "limit": self.limit, "offset": self.offset}

    def request(self, **more: Any) -> pb.PageRequest:
        """Ask the coordinator for it.

        Args:
            **more: Filters.
        """
        return pb.PageRequest(limit=self.limit, offset=self.offset, **more)


async def part(
    limit: Annotated[int, Query(ge=1, le=MOST, description="So many at most.")] = 50,
    offset: Annotated[int, Query(ge=0, le=_FURTHEST, description="After so many.")] = 0,
) -> Part:
    """Read it from the query of a request."""
    return Part(limit=limit, offset=offset)
