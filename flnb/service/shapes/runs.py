"""Runs, their branches, and what is done to them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from flnb.service.paging import Page
from flnb.service.shapes.text import Name, Reason, RequestId, Words

Which = Annotated[int, Field(ge=0, le=999_999_999)] | Name
"""A round by its number, or by a name."""


class Asked(BaseModel):
    """What comes in; a word that means nothing is refused."""

    model_config = ConfigDict(extra="forbid")


class Run(BaseModel):
    """A run in a list."""

    id: str = Field(description="For ever.", examples=["4f2c91d07ab3"])
    name: str = Field(examples=["first"])
    branch: str = Field(examples=["main"])
    generation: int = Field(examples=[1])
    status: str = Field(examples=["running"])
    waits_for: str = Field(description="What a waiting run waits for.", examples=[""])
    task: str = Field(examples=["digits-softmax"])
    rounds: int = Field(description="Planned.", examples=[40])
    round: int = Field(description="The last closed one.", examples=[3])
    metrics: dict[str, float | None] = Field(
        description="Of that round.", examples=[{"accuracy": 0.91, "loss": 0.31}]
    )
    protected: bool = Field(examples=[False])
    error: str = Field(description="Why it rests; for operators.", examples=[""])
    created_at: datetime
    updated_at: datetime
    closed_at: datetime | None = Field(description="When its last round closed.")


class Runs(Page[Run]):
    """Runs, the newest first."""

    rounds: int = Field(description="Closed rounds of the lab, or of `run`.", examples=[128])


class RunDetail(BaseModel):
    """A run in full."""

    id: str = Field(examples=["4f2c91d07ab3"])
    name: str = Field(examples=["first"])
    plan: str = Field(description="YAML.", examples=["rounds: 40"])
    view: dict[str, Any] = Field(
        description="Its picture: status, open round, last rounds, curve.",
        examples=[{"status": "running", "round": 3, "rounds": 40}],
    )
    error: dict[str, Any] | None = Field(description="Why it rests; for operators.")


class Branch(BaseModel):
    """A generation of a branch: where it leaves, and how far it went."""

    branch: str = Field(examples=["main"])
    generation: int = Field(examples=[1])
    base: list[str | int] | None = Field(
        description="Branch and generation that it stands on.", examples=[["main", 1]]
    )
    after: int = Field(description="The round that it stands on.", examples=[2])
    last: int = Field(description="Its last closed round.", examples=[3])
    commits: list[int] = Field(description="Rounds with a commit.", examples=[[1, 2, 3]])
    labels: dict[str, str] = Field(description="Round to names.", examples=[{"3": "@best-so-far"}])
    current: bool = Field(description="Whether its branch goes on from it.", examples=[True])


class Branches(BaseModel):
    """All branches of a run, with what was left behind."""

    title: str = Field(examples=["first"])
    lanes: list[Branch]


class Fork(Asked):
    """Make a branch."""

    name: Name = Field(description="Of the branch alone.", examples=["lower-lr"])
    at: Which | None = Field(None, description="The round to leave at; the newest.", examples=[3])
    changes: dict[str, Any] = Field(
        default_factory=dict, description="Settings of the plan.", examples=[{"rounds": 60}]
    )
    id: RequestId | None = None


class Changes(Asked):
    """Go on, perhaps otherwise."""

    changes: dict[str, Any] = Field(
        default_factory=dict, description="Settings of the plan.", examples=[{"rounds": 60}]
    )
    workers: int | None = Field(None, ge=0, le=1024, description="Processes that share the work.")


class Preview(BaseModel):
    """What a roll back would do; nothing has happened."""

    run: str = Field(examples=["first"])
    target: int = Field(description="The round to go back to.", examples=[2])
    seen: list[int] = Field(description="Generation and round of the head.", examples=[[1, 3]])
    leaves: list[int] = Field(description="Rounds that leave the branch.", examples=[[3]])
    blocked_by: list[str] = Field(description="Aliases in the way.", examples=[[]])
    facts: dict[str, str] = Field(description="All of it in words.")
    digest: str = Field(description="To apply exactly this with.")


class Apply(Asked):
    """Roll back as a preview said."""

    digest: Annotated[str, Field(max_length=300)] = Field(description="Of the preview.")
    reason: Reason
    id: RequestId | None = Field(
        None, description="By default the preview's own: to apply it twice does it once."
    )


class Alias(Asked):
    """Give a name to a round."""

    name: Name = Field(examples=["production"])
    at: Which = Field(description="Number or name of a round.", examples=[3])
    condition: Words = Field("", description="What must hold of it.", examples=["accuracy > 0.5"])
    reason: Reason


class Why(Asked):
    """Why something is done."""

    reason: Reason


class Aliased(BaseModel):
    """What a name means now."""

    name: str = Field(examples=["production"])
    version: str = Field(examples=["4f2c91d07ab3.1.3"])
    run: str = Field(examples=["first"])
    generation: int = Field(examples=[1])
    round: int = Field(examples=[3])


class Given(BaseModel):
    """That a name was given to a round."""

    name: str = Field(examples=["production"])
    branch: str = Field(examples=["main"])
    generation: int = Field(examples=[1])
    round: int = Field(examples=[3])
    kind: str = Field(description="alias, or kept: of a head that was left.", examples=["alias"])
    actor: str = Field(examples=["dr-lee"])
    reason: str = Field(examples=["passed the review"])
    at: datetime
