"""Overview: every run of the lab, and what needs attention."""

from __future__ import annotations

from typing import ClassVar
from urllib.parse import urlencode

import panel as pn
import panel_material_ui as pmui

from flnb.core import glance
from flnb.core.cards import Html, escape, sparkline
from flnb.core.clock import SYSTEM_CLOCK
from flnb.core.view import RunView, Status
from flnb.dashboards import words
from flnb.dashboards.components import states
from flnb.dashboards.components.panes import html
from flnb.dashboards.components.tables import Column, table
from flnb.dashboards.page import Page, Text

_SHOWN = 100
_START = 'import flnb\nrun = flnb.quickstart("digits")'
_COLUMNS = (
    Column("Status"),
    Column("Run", "name"),
    Column("Branch"),
    Column("Round", "n"),
    Column("Metric", "n"),
    Column("By round"),
    Column("Uploaded", "n"),
    Column("Pace", "n"),
    Column("Started", "n"),
)


class Overview(Page):
    """Every run of the lab."""

    title: ClassVar[str] = "Overview"
    path: ClassVar[str] = ""
    of_a_run: ClassVar[bool] = False
    address: ClassVar[dict[str, str]] = {"find": "find"}

    find = Text(default="", doc="Words that a run's row must hold")

    def build(self) -> pn.viewable.Viewable:
        """See `Page`."""
        self._attention, self._runs = html(), html(states.loading("the runs", 240))
        self._box = pmui.TextInput.from_param(
            self.param.find, label="Find runs", description="",
            placeholder="name, branch or status", size="small", width=280, margin=(0, 0, 8, 0),
        )  # fmt: skip
        self.param.watch(lambda *_: self.fill(), "find")
        return pn.Column(
            self.pane("", self._attention, self._fill_attention),
            self._box,
            self.pane("", self._runs, self._fill_runs, height=240),
            sizing_mode="stretch_width",
            margin=0,
        )

    def _fill_attention(self) -> None:
        found = [line for view in self.now.views.values() if (line := _attention(view))]
        self._attention.object = (
            f'<div class="note busy" style="margin-bottom:16px"><h2>Needs attention</h2>{"".join(found[:6])}</div>'
            if found
            else ""
        )

    def _fill_runs(self) -> None:
        views = list(self.now.views.values())
        self._box.visible = bool(views)
        if not views:
            loading = self.now.standing.kind in {"loading", "offline"}
            self._runs.object = (
                states.loading("the runs", 240)
                if loading
                else states.empty("The runs of this lab will be listed here. Start one:", _START)
            )
            return
        wanted = self.find.lower().split()
        chosen = [view for view in views if all(word in _text(view) for word in wanted)]
        if not chosen:
            self._runs.object = states.empty(f"No run fits “{self.find}”.")
            return
        now = SYSTEM_CLOCK.now()
        rows = [_cells(view, now) for view in chosen[:_SHOWN]]
        more = len(chosen) - len(rows)
        rest = f'<p class="quiet">{more} more; find them by name.</p>' if more else ""
        self._runs.object = table("Runs, newest first", _COLUMNS, rows) + rest


def run_link(path: str, name: str) -> str:
    """The address of a page about a run, from any other page."""
    return f"{path}?{urlencode({'run': name})}"


def _text(view: RunView) -> str:
    return f"{view.name} {view.branch} {glance.state(view)}".lower()


def _cells(view: RunView, now: object) -> tuple[object, ...]:
    metric = view.curve[-1][1] if view.curve else None
    name = f'<a href="{escape(run_link("rounds", view.name))}" title="{escape(view.name)}">{escape(view.name)}</a>'
    shown = (
        f'{words.number(metric)} <span class="quiet">{escape(glance.words(view.headline))}</span>'
    )
    curve = sparkline(
        [value for _, value in view.curve], label=view.headline, width_px=120, height_px=24
    )
    return (
        words.status(view),
        Html(name),
        view.branch,
        f"{view.round}/{view.rounds}",
        Html(shown) if metric is not None else words.NOTHING,
        curve or words.NOTHING,
        glance.size(view.bytes_up) if view.bytes_up else words.NOTHING,
        f"{glance.seconds(view.seconds_a_round)}/round" if view.seconds_a_round else words.NOTHING,
        words.moment(view.started_at, now),  # type: ignore[arg-type]  # a moment
    )


def _attention(view: RunView) -> str:
    """A line about a run that somebody should look at; empty of any other."""
    if view.status not in {Status.FAILED, Status.PAUSED, Status.INTERRUPTED} and not view.noted:
        return ""
    if view.status in {Status.FINISHED, Status.STOPPED} or (
        view.status is Status.PAUSED and not view.error
    ):
        return ""
    why = view.error or view.noted or "its process is gone; resume it where its data is"
    link = f'<a href="{escape(run_link("rounds", view.name))}">{escape(view.name)}</a>'
    return f"<p>{words.status(view)} &nbsp;{link} &nbsp;{escape(why)}</p>"
