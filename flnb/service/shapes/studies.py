"""Studies: which there are, what became of their cells, and what the runs of these were measured by."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from flnb.service.paging import Page


class Study(BaseModel):
    """A notebook that is executed with many settings, and how far that is."""

    name: str = Field(examples=["alpha"])
    notebook: str = Field(
        description="Where the recipe lay; its name alone for viewers.", examples=["fedavg.ipynb"]
    )
    created_at: datetime
    updated_at: datetime = Field(description="When it was asked for last.")
    cells: int = Field(description="How many it asks for.", examples=[12])
    outcomes: dict[str, int] = Field(
        description="How many of them stand how.",
        examples=[{"finished": 9, "running": 2, "failed": 1}],
    )
    version: str = Field(
        description="Another one whenever something became of a cell.",
        examples=["b1946ac92492d234"],
    )


class Measure(BaseModel):
    """A metric of a run; null where it was no number."""

    last: float | None = Field(description="In the last round.", examples=[0.91])
    least: float | None = Field(description="Of all rounds.", examples=[0.32])
    most: float | None = Field(examples=[0.92])


class StudyCell(BaseModel):
    """One setting of a study, and what became of it."""

    key: str = Field(
        description="For ever: of code, parameters, seed and data.", examples=["3f9a52c1"]
    )
    position: int = Field(description="In the order that was asked for, from 0.", examples=[4])
    parameters: dict[str, Any] = Field(examples=[{"alpha": 0.3, "strategy": "fedavg"}])
    seed: int | None = Field(examples=[0])
    outcome: str = Field(
        description="waiting, running, finished, failed, cut off or out of time.",
        examples=["finished"],
    )
    why: str = Field(description="Why it is not finished; for operators.", examples=[""])
    run: str = Field(
        description="Name of its run; empty before there is one.", examples=["alpha-3f9a52c1"]
    )
    origin: str = Field(description="Whose result it takes over; empty of its own.", examples=[""])
    began_at: datetime | None
    ended_at: datetime | None
    seconds_s: float = Field(description="Of all its attempts.", examples=[61.4])
    attempts: int = Field(examples=[1])
    failed_cell: int | None = Field(description="Of the notebook, from 1.", examples=[None])
    notebook: str = Field(
        description="Where it lies, executed, in the lab; for operators.",
        examples=["studies/alpha/3f9a52c1/notebook.ipynb"],
    )
    rounds: int | None = Field(description="Closed, on the line to the head.", examples=[30])
    bytes_up: int | None = Field(description="Of these rounds.", examples=[702000])
    metrics: dict[str, Measure] = Field(
        description="What was measured at clients begins with `federated_`, what while training with `training_`.",
        examples=[{"accuracy": {"last": 0.91, "least": 0.32, "most": 0.92}}],
    )


class StudyDetail(Study, Page[StudyCell]):
    """A study with a part of the cells that it asks for, in their order."""
