"""Text that may travel on: no half characters, no control signs, not endless."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints


def _whole(text: str) -> str:
    """Refuse what JSON can write and no other encoding can, and what databases stumble over."""
    if any(sign < " " and sign not in "\n\t\r" for sign in text):
        raise ValueError("control signs are not text")
    if any("\ud800" <= sign <= "\udfff" for sign in text):
        raise ValueError("half a character (a lone surrogate) is not text")
    return text


Name = Annotated[str, StringConstraints(min_length=1, max_length=300), AfterValidator(_whole)]
"""Of a run, a client, an alias; of a branch of a run with the name of a round, which is the longest."""
Words = Annotated[str, StringConstraints(max_length=2000), AfterValidator(_whole)]
"""Such as a reason."""
Reason = Annotated[
    str,
    StringConstraints(min_length=1, max_length=2000, strip_whitespace=True),
    AfterValidator(_whole),
    Field(description="Why; kept in the operations log.", examples=["accuracy fell"]),
]
RequestId = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9._-]{8,64}$"),
    Field(
        description="Of your making, for what must not be done twice: the same id is done once.",
        examples=["roll-back-7f3a"],
    ),
]
