"""Guards: conditions that a run watches over itself, and what it does when one holds."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import PositiveInt, field_validator, model_validator

from flnb.core.config import Frozen
from flnb.core.errors import PlanError
from flnb.core.expressions import Expression


class Guard(Frozen):
    """What must not happen in a run, and what to do when it has happened.

    It is looked at after every round in which something that it names was measured.

    Examples:
        >>> Guard("loss > 3 * median(loss, 10)", then="rollback")
        Guard('loss > 3 * median(loss, 10)', then='rollback')
    """

    when: str
    """The condition; `flnb.core.expressions` is its language. NaN needs `not finite(loss)`."""
    then: Literal["rollback", "pause", "warn"] = "pause"
    """`rollback`: go back to the newest commit before the round in which it held, and go on; that
    round is drawn with another cohort. `pause`: rest at that round. `warn`: say so, and go on."""
    limit: PositiveInt = 3
    """How often it rolls a branch back; after that, or when it holds in the same round again, it
    pauses instead."""

    @model_validator(mode="before")
    @classmethod
    def _bare(cls, data: Any) -> Any:
        return {"when": data} if isinstance(data, str) else data

    @field_validator("when")
    @classmethod
    def _readable(cls, when: str) -> str:
        try:
            Expression.parse(when)
        except PlanError as error:
            raise ValueError(error.message) from None
        return when

    def __init__(self, when: str = "", **data: Any) -> None:
        super().__init__(**({"when": when} if when else {}), **data)

    @property
    def expression(self) -> Expression:
        """The condition, read."""
        return Expression.parse(self.when)

    def __repr__(self) -> str:
        """As it is written in Python."""
        usual = type(self).model_fields["limit"].default
        limit = "" if self.limit == usual else f", limit={self.limit}"
        return f"Guard({self.when!r}, then={self.then!r}{limit})"

    def __str__(self) -> str:
        """As it is shown."""
        return f"{self.when} → {self.then}"
