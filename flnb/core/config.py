"""What every settings model shares: frozen, strict, and helpful about typing mistakes."""

from __future__ import annotations

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from flnb.core.errors import PlanError, did_you_mean


class Frozen(BaseModel):
    """A settings model that people write: keyword-only, immutable, unknown keys refused."""

    # Not even infinity: JSON writes it as null, so a plan with it had the digest of one without.
    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False
    )

    @model_validator(mode="before")
    @classmethod
    def _unknown_keys(cls, data: Any) -> Any:
        if isinstance(data, dict):
            known = [field.alias or name for name, field in cls.model_fields.items()]
            for key in data:
                if key not in known:
                    near = did_you_mean(str(key), known)
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
        # Settings that nobody gave are left out, so that what follows from others follows again.
        given = {name: getattr(self, name) for name in self.model_fields_set}
        return type(self)(**{**given, **changes})


def plan_error(owner: str, error: ValidationError) -> PlanError:
    """Turn pydantic's report into one sentence a setting."""
    settings: dict[tuple[int | str, ...], list[ErrorDetails]] = {}
    for item in error.errors():
        # Past the setting's own name, words are branches of a union and numbers are positions.
        where = (*item["loc"][:1], *(part for part in item["loc"][1:] if isinstance(part, int)))
        settings.setdefault(where, []).append(item)
    return PlanError("; ".join(_sentence(owner, *place) for place in settings.items()))


def _sentence(owner: str, where: tuple[int | str, ...], items: list[ErrorDetails]) -> str:
    said = " or ".join(_message(item) for item in items)
    place = ".".join(str(part) for part in (owner, *where))
    return f"{place}: {said}, got {items[0]['input']!r}" if where else said


def _message(item: ErrorDetails) -> str:
    message = item["msg"]
    if item["type"] == "unknown_key":
        return message
    if item["type"] == "value_error":
        return str(item["ctx"]["error"])  # without pydantic's "Value error, "
    return f"{message[:1].lower()}{message[1:]}"
