"""When a schedule is due: five fields of cron, checked, and what systemd calls such a time."""

from __future__ import annotations

import re

from flnb.core.errors import PlanError

_DAYS = ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
_NAMES = ("minute", "hour", "day", "month", "day of the week")
_PART = re.compile(r"(\*|\d+(?:-\d+)?)(?:/(\d+))?")


def fields_of(at: str) -> tuple[str, ...]:
    """The five fields of a time, checked.

    Raises:
        PlanError: It is none.

    Examples:
        >>> fields_of("30 2 * * 1-5")
        ('30', '2', '*', '*', '1-5')
    """
    fields = tuple(at.split())
    if len(fields) != len(_NAMES):
        raise PlanError(
            f"{at!r} has {len(fields)} fields, and a time has five",
            hint='minute, hour, day, month, day of the week: "0 2 * * *" is each night at two',
        )
    for name, (low, high), field in zip(_NAMES, _RANGES, fields, strict=True):
        for part in field.split(","):
            found = _PART.fullmatch(part)
            numbers = [int(one) for one in re.findall(r"\d+", found[1])] if found else [-1]
            if any(not low <= number <= high for number in numbers):
                raise PlanError(f"{part!r} is no {name}", hint=f"{low} to {high}, *, 1-5 or */15")
    return fields


def on_calendar(fields: tuple[str, ...]) -> str:
    """Five fields of cron as systemd writes a time.

    Raises:
        PlanError: Both the day of the month and that of the week are given: cron means one or the
            other, and systemd both.

    Examples:
        >>> on_calendar(("0", "2", "*", "*", "1-5"))
        'Mon,Tue,Wed,Thu,Fri *-*-* 2:0:00'
        >>> on_calendar(("*/15", "*", "1", "*", "*"))
        '*-*-1 *:0/15:00'
    """
    minute, hour, day, month, week = fields
    if day != "*" and week != "*":
        raise PlanError(
            "a day of the month and one of the week: cron means either, systemd both",
            hint="give one of them, or --cron",
        )
    days = "" if week == "*" else ",".join(_weekday(part) for part in week.split(",")) + " "
    date = f"*-{_span(month, 1)}-{_span(day, 1)}"
    return f"{days}{date} {_span(hour, 0)}:{_span(minute, 0)}:00"


def _weekday(part: str) -> str:
    if "/" in part:
        raise PlanError(f"systemd knows no steps of days of the week: {part}", hint="--cron")
    if part == "*":
        return "*"
    first, _, last = part.partition("-")
    # In words, one by one: weeks of systemd begin on Monday, and Sun..Wed is none.
    return ",".join(_DAYS[int(first) : int(last or first) + 1])


def _span(field: str, first: int) -> str:
    """`1-5` is `1..5`, `*/15` is `0/15`."""
    found = []
    for part in field.split(","):
        base, _, step = part.partition("/")
        base = str(first) if base == "*" and step else base.replace("-", "..")
        found.append(f"{base}/{step}" if step else base)
    return ",".join(found)
