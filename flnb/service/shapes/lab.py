"""The lab as a whole: how it stands, who is here, what was done."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from flnb.service.paging import Page
from flnb.service.shapes.runs import Asked, Run
from flnb.service.shapes.text import Name, Reason, Words


class Health(BaseModel):
    """The service answers, and so does its coordinator."""

    status: str = Field(examples=["ok"])
    lab: str = Field(description="Identity of the lab.", examples=["f15614b9349c33b1"])
    version: str = Field(description="Of flnb.", examples=["0.1.0"])


class Standing(BaseModel):
    """How the coordinator stands, and who asks."""

    lab: str = Field(examples=["f15614b9349c33b1"])
    role: str = Field(description="Of the token.", examples=["viewer"])
    coordinator: dict[str, Any] = Field(examples=[{"name": "lab", "n_runs": 2}])


class Summary(BaseModel):
    """The newest numbers of all runs."""

    runs: int = Field(description="In the lab; with `run`, it and its branches.", examples=[3])
    rounds: int = Field(description="Closed, in all; with `run`, of it alone.", examples=[128])
    latest: list[Run] = Field(description="Runs with their last round, the newest first.")


class Client(BaseModel):
    """A remote client."""

    client: str = Field(examples=["hospital-a"])
    state: str = Field(description="idle, training, offline, revoked, invited …", examples=["idle"])
    n_examples: int = Field(examples=[240])
    task: str = Field(examples=["digits-softmax"])
    joined_at: datetime | None
    last_seen_at: datetime | None
    invite_ends_at: datetime | None
    quarantined_at: datetime | None = Field(description="Since when it is not drawn.")
    quarantine_reason: str = Field(examples=[""])


class Clients(Page[Client]):
    """Remote clients, by name."""

    simulated: dict[str, int] = Field(
        description="How many more are simulated, by task; they are not listed.",
        examples=[{"digits-softmax": 50}],
    )


class ClientRound(BaseModel):
    """What a client did in one round."""

    run: str = Field(examples=["first"])
    branch: str = Field(examples=["main"])
    generation: int = Field(examples=[1])
    round: int = Field(examples=[3])
    attempt: int = Field(examples=[0])
    outcome: str = Field(examples=["accepted"])
    reason: str | None = Field(examples=[""])
    n_examples: int | None = Field(examples=[240])
    weight: float | None = Field(examples=[0.1])
    loss: float | None = Field(examples=[0.42])
    norm: float | None = Field(examples=[1.7])
    bytes_up: int | None = Field(examples=[2600])
    arrived_s: float | None = Field(examples=[1.2])
    train_s: float | None = Field(examples=[1.1])
    accepted: bool | None = Field(examples=[True])
    closed_at: datetime | None


class Invite(Asked):
    """Let a client join."""

    client: Name = Field(examples=["hospital-a"])
    expires: Words = Field("2h", description="Such as 30m, 2h or 7d.", examples=["2h"])


class Invited(BaseModel):
    """An invite, shown once."""

    client: str = Field(examples=["hospital-a"])
    text: str = Field(description="One line, to hand to the client.", examples=["flnb1.eJx…"])
    expires_at: datetime
    certificate: str = Field(description="A file at the coordinator to hand over.", examples=[""])


class Rest(Asked):
    """Let a client rest, or let it be drawn again."""

    reason: Reason


class Operation(BaseModel):
    """Something that somebody did."""

    position: int = Field(description="Place in the log, from 1.", examples=[12])
    at: datetime
    actor: str = Field(examples=["dr-lee"])
    verb: str = Field(examples=["rollback"])
    run: str = Field(description="Name; empty for what is about the lab.", examples=["first"])
    run_id: str | None = Field(examples=["4f2c91d07ab3"])
    reason: str = Field(examples=["accuracy fell"])
    details: dict[str, Any] | None = Field(examples=[{}])


class LabEvent(BaseModel):
    """Something durable that happened in the lab."""

    type: str = Field(examples=["round_complete"])
    cursor: str = Field(description="Where this leaves you.", examples=["812.40.f15614b9349c33b1"])
    run: str = Field(examples=["first"])
    data: dict[str, Any]


class Events(BaseModel):
    """Events after a cursor, the oldest first."""

    items: list[LabEvent]
    next: str = Field(description="The cursor to go on with.", examples=["812.40.f15614b9349c33b1"])


class Question(Asked):
    """One SELECT over the tables of the lab."""

    query: str = Field(
        min_length=1,
        max_length=20_000,
        examples=["SELECT run, round, value FROM metrics WHERE metric = 'accuracy'"],
    )
    rows: int = Field(1000, ge=1, le=100_000, description="Refuse an answer with more.")
    timeout_s: float = Field(5.0, gt=0, le=60, description="Refuse to think any longer.")


class Rows(BaseModel):
    """The answer to a question."""

    columns: list[str] = Field(examples=[["run", "round", "value"]])
    rows: list[list[Any]] = Field(examples=[[["first", 3, 0.91]]])
