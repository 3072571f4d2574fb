"""Closed rounds, and the models after them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

_SHA256 = "9f2c…"


class Round(BaseModel):
    """A closed round, without its clients."""

    id: str = Field(description="For ever: RUN.GENERATION.ROUND.", examples=["4f2c91d07ab3.1.3"])
    run: str = Field(description="Name of the run, with its branch.", examples=["first"])
    run_id: str = Field(examples=["4f2c91d07ab3"])
    branch: str = Field(examples=["main"])
    generation: int = Field(description="Rises with each roll back.", examples=[1])
    round: int = Field(examples=[3])
    attempt: int = Field(description="Attempts that had failed before.", examples=[0])
    closed_by: str = Field(examples=["all answered"])
    opened_at: datetime
    closed_at: datetime
    seconds_s: float = Field(examples=[1.92])
    invited: int = Field(examples=[10])
    accepted: int = Field(examples=[9])
    refused: int = Field(examples=[0])
    failed: int = Field(examples=[0])
    lost: int = Field(examples=[1])
    late: int = Field(examples=[0])
    bytes_up: int = Field(description="Of the accepted updates on a wire.", examples=[23400])
    metrics: dict[str, float | None] = Field(examples=[{"accuracy": 0.91, "loss": 0.31}])
    commit: str = Field(description="Short; empty if it has none.", examples=["k3x9aa"])
    snapshot: str | None = Field(description="The commit in history.", examples=["K3X9AA0ZV1"])
    parameters_sha256: str | None = Field(description="Of the model.", examples=[_SHA256])
    expired: dict[str, Any] | None = Field(description="Why its commit is gone.", examples=[None])
    leads: bool = Field(description="Whether it leads to the head of its branch.", examples=[True])
    names: list[str] = Field(description="What people call it.", examples=[["best-so-far"]])


class ClientUpdate(BaseModel):
    """What became of one client in a round."""

    client: str = Field(examples=["hospital-a"])
    outcome: str = Field(examples=["accepted"])
    reason: str = Field(examples=[""])
    n_examples: int | None = Field(examples=[240])
    weight: float | None = Field(examples=[0.1])
    loss: float | None = Field(examples=[0.42])
    norm: float | None = Field(examples=[1.7])
    bytes_up: int | None = Field(examples=[2600])
    arrived_s: float | None = Field(examples=[1.2])
    train_s: float | None = Field(examples=[1.1])


class Event(BaseModel):
    """Something that happened in a round."""

    position: int = Field(examples=[0])
    kind: str = Field(examples=["round_started"])
    client: str = Field(examples=[""])
    detail: str = Field(examples=["10 invited"])


class RoundDetail(Round):
    """A closed round; with its clients for operators."""

    clients: list[ClientUpdate] = Field(description="Empty for viewers.")
    events: list[Event] = Field(description="Empty for viewers.")


class Model(BaseModel):
    """A model in history: what a round left, and can be fetched."""

    version: str = Field(description="RUN.GENERATION.ROUND.", examples=["4f2c91d07ab3.1.3"])
    run: str = Field(examples=["first"])
    run_id: str = Field(examples=["4f2c91d07ab3"])
    branch: str = Field(examples=["main"])
    generation: int = Field(examples=[1])
    round: int = Field(examples=[3])
    created_at: datetime
    parameters_sha256: str | None = Field(description="Of the model.", examples=[_SHA256])
    commit: str = Field(examples=["k3x9aa"])
    metrics: dict[str, float | None] = Field(examples=[{"accuracy": 0.91, "loss": 0.31}])
    leads: bool = Field(description="Whether it leads to the head of its branch.", examples=[True])
    names: list[str] = Field(description="What people call it.", examples=[["best-so-far"]])
