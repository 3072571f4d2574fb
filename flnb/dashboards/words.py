"""Numbers, moments and states in the words of a page: three digits, units, shape and word."""

from __future__ import annotations

import math
from datetime import datetime, timedelta

from flnb.core import glance
from flnb.core.cards import Html, escape
from flnb.core.view import RunView, Status

NOTHING = "–"
_MINUTE_S, _HOUR_S, _DAY_S = 60, 3600, 86_400


def number(value: float | None, digits: int = 3) -> str:
    """Write a measured value with three digits.

    Examples:
        >>> number(0.91349), number(12.345), number(1234.5), number(1.2e-5), number(None)
        ('0.913', '12.3', '1,230', '1.2e-05', '–')
    """
    if value is None or not math.isfinite(value):
        return NOTHING
    size = abs(value)
    if value and (size < 1e-3 or size >= 1e6):
        return f"{value:.{digits}g}"
    if size >= 1000:
        return f"{round(value, digits - 1 - math.floor(math.log10(size))):,.0f}"
    places = max(0, digits - (len(str(int(size))) if size >= 1 else 0))
    return f"{value:.{places}f}"


def change(value: float | None) -> str:
    """Write a difference with its sign; empty where there is none to tell.

    Examples:
        >>> change(0.0041), change(-0.2), change(0.0), change(None)
        ('+0.004', '−0.200', '±0', '')
    """
    if value is None or not math.isfinite(value):
        return ""
    if value == 0:
        return "±0"
    return f"{'+' if value > 0 else '−'}{number(abs(value))}"


def ago(moment: datetime | None, now: datetime) -> str:
    """Write how long ago something was.

    Examples:
        >>> from datetime import UTC
        >>> noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
        >>> ago(noon, noon + timedelta(seconds=4)), ago(noon, noon + timedelta(hours=3))
        ('just now', '3 h ago')
        >>> ago(None, noon)
        '–'
    """
    if moment is None:
        return NOTHING
    passed_s = (now - moment).total_seconds()
    if passed_s < 10:
        return "just now"
    for unit_s, most, name in (
        (1, _MINUTE_S, "s"),
        (_MINUTE_S, _HOUR_S, "min"),
        (_HOUR_S, 2 * _DAY_S, "h"),
        (_DAY_S, math.inf, "days"),
    ):
        if passed_s < most:
            return f"{passed_s / unit_s:.0f} {name} ago"
    raise AssertionError("the last unit has no end")


def moment(when: datetime | None, now: datetime) -> Html:
    """How long ago something was, with the exact moment where the pointer rests."""
    if when is None:
        return Html(NOTHING)
    exact = when.isoformat(timespec="seconds")
    return Html(
        f'<time datetime="{exact}" title="{when:%Y-%m-%d %H:%M:%S} UTC">{ago(when, now)}</time>'
    )


def clock(when: datetime) -> str:
    """The time of the day where the server is; with the day when that is another one."""
    here = when.astimezone()
    today = datetime.now(tz=here.tzinfo).date()
    return f"{here:%H:%M:%S}" if here.date() == today else f"{here:%Y-%m-%d %H:%M}"


def lasting(span: timedelta) -> str:
    """A length of time with its unit."""
    return glance.seconds(span.total_seconds())


def status(view: RunView) -> Html:
    """What a run is doing, as shape, word and colour, and what it waits for."""
    look = glance.mark(view.status)
    return Html(
        f'<span class="status {kind(view.status)}"><span class="shape" aria-hidden="true">'
        f"{look.shape}</span> {escape(glance.state(view))}</span>"
    )


def kind(status: Status | str) -> str:
    """Which colour a state has: good, busy, bad or quiet."""
    match str(status):
        case "running" | "finished" | "idle" | "live":
            return "good"
        case "failed" | "refused":
            return "bad"
        case "stopped" | "stopping":
            return "quiet"
        case _:
            return "busy"
