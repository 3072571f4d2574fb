"""The line above a page: where what it shows comes from, and whether it is old."""

from __future__ import annotations

from datetime import datetime

from flnb.core import glance
from flnb.core.view import RunView, Status
from flnb.dashboards import words
from flnb.dashboards.components import states
from flnb.dashboards.standing import STALE_S, Standing


def stale(view: RunView | None, closed_at: datetime | None, now: datetime) -> str:
    """That a run which goes on closes no rounds, once it takes three times as long as usual."""
    if view is None or view.status is not Status.RUNNING or closed_at is None:
        return ""
    passed_s = (now - closed_at).total_seconds()
    if passed_s <= max(STALE_S, 3 * view.seconds_a_round):
        return ""
    usual = glance.seconds(view.seconds_a_round)
    text = (
        f"No news of {view.name} for {glance.seconds(passed_s)}; a round takes {usual} otherwise."
    )
    return states.note(text, "busy")


def banner(standing: Standing) -> str:
    """The line above a page that says how fresh it is; empty while a coordinator answers."""
    match standing.kind:
        case "store":
            when = f", last write {words.clock(standing.last_write)}" if standing.last_write else ""
            return states.note(
                f"Read from the store{when}. No coordinator answers; this page looks for one.",
                "busy",
            )
        case "offline":
            when = f" since {words.clock(standing.heard_at)}" if standing.heard_at else ""
            return states.note(
                f"Offline{when}: {standing.why or 'nobody answers'}. Trying again; what is shown is old.",
                "bad",
            )
        case _:
            return ""
