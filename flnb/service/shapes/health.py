"""Whether all is well."""

from __future__ import annotations

from pydantic import BaseModel, Field


class Health(BaseModel):
    """The service answers, and so does its coordinator."""

    status: str = Field(examples=["ok"])
    lab: str = Field(description="Identity of the lab.", examples=["lab-4f2c"])
    version: str = Field(description="Of flnb.", examples=["0.5.0"])
