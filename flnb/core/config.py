"""What every settings model shares: frozen, strict, and helpful about typing mistakes."""

from __future__ import annotations

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from flnb.core.errors import PlanError, did_you_mean


class Frozen(BaseModel):
    """A settings model that people write: keyword-only, immutable, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    @model_validator(mode="before")
    @classmethod
    def _unknown_keys(cls, data: Any) -> Any:
        if isinstance(data, dict):
            for key in data:
                if key not in cls.model_fields:
                    near = did_you_mean(str(key), cls.model_fields)
                    raise PydanticCustomError(
                        "unknown_key",
                        "{owner} has no setting '{key}'; {near}",
                        {"owner": cls.__name__, "key": str(key), "near": near},
                    )
        return data

    def __init__(self, **data: Any) -> None:
        try:
            super().__init__(**data)
        except ValidationError as error:
            raise plan_error(type(self).__name__, error) from None

    def replace(self, **changes: Any) -> Self:
        """Copy with some settings changed, checked like a new one.

        Raises:
            PlanError: A key is unknown or a value out of range.
        """
        values = {name: getattr(self, name) for name in type(self).model_fields}
        return type(self)(**{**values, **changes})


def plan_error(owner: str, error: ValidationError) -> PlanError:
    """Turn pydantic's report into one sentence a place."""
    return PlanError("; ".join(_sentence(owner, item) for item in error.errors()))


def _sentence(owner: str, item: ErrorDetails) -> str:
    where = ".".join(str(part) for part in item["loc"])
    message = item["msg"]
    if item["type"] in {"unknown_key", "value_error"}:
        return f"{where}: {message}" if where else message
    return f"{owner}.{where}: {message[:1].lower()}{message[1:]}, got {item['input']!r}"
