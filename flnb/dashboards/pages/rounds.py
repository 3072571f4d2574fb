"""Rounds: one run as it happens, and the buttons that steer it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

import panel as pn
import panel_material_ui as pmui

from flnb.core import glance
from flnb.core.cards import Html, escape
from flnb.dashboards import plots, queries, words
from flnb.dashboards.components import kpi, states
from flnb.dashboards.components.panes import html
from flnb.dashboards.components.tables import Column, clipped, table
from flnb.dashboards.page import Page, Text
from flnb.dashboards.pages.of_run import why_absent
from flnb.dashboards.pages.steering import Steering
from flnb.dashboards.theme import HUES

T = TypeVar("T")

_EVENTS = 40
_BARS_TITLE = f"What became of the clients that were invited, last {plots.BARS} rounds"
_PROMISE = "The rounds of a run will be shown here. Start one:"


class Rounds(Page):
    """One run as it happens."""

    title: ClassVar[str] = "Rounds"
    path: ClassVar[str] = "rounds"
    address: ClassVar[dict[str, str]] = {"run": "run", "metric": "metric"}

    metric = Text(default="", doc="Name of the metric that is drawn; empty is the first")

    def build(self) -> pn.viewable.Viewable:
        """See `Page`."""
        self._absent, self._figures = html(), html(states.loading("the run", 72), css=kpi.CSS)
        self._curve = plots.Curve("value")
        self._drawn: tuple[Any, str] = None, ""
        self._choice = pmui.Select(label="Metric", options=[""], size="small", width=200, margin=0)
        self._choice.param.watch(self._chosen, "value")
        self._legend = html(styles={"flex": "1 1 160px"})
        self._events, self._open = html(), html()
        self._bars = plots.Outcomes()
        self._steering = Steering(self)
        chart = pn.Column(
            pn.FlexBox(
                self._choice, self._legend, align_items="center", gap="16px", margin=(8, 0, 0, 0)
            ),
            pn.pane.Bokeh(self._curve.figure, sizing_mode="stretch_width", margin=0),
            sizing_mode="stretch_width",
            margin=0,
        )
        bars = pn.Column(
            html(f"<p>{plots.outcome_legend()}</p>"),
            pn.pane.Bokeh(self._bars.figure, sizing_mode="stretch_width", margin=0),
            sizing_mode="stretch_width",
            margin=0,
        )
        wide, narrow = {"xs": 12, "lg": 8}, {"xs": 12, "lg": 4}
        self._chart = self.pane("The metric by round", chart, self._fill_curve, height=360)
        parts = (
            (self._chart, wide),
            (self.pane("Events, newest first", self._events, self._fill_events), narrow),
            (self.pane(_BARS_TITLE, bars, self._fill_bars, height=300), wide),
            (self.pane("The open round", self._open, self._fill_open), narrow),
        )
        grid = pmui.Grid(
            *(pmui.Grid(part, size=size) for part, size in parts),
            container=True,
            spacing=3,
            margin=0,
        )
        self._all = pn.Column(
            self.pane("", self._figures, self._fill_figures, height=72),
            self.pane("", self._steering.view, self._steering.fill, height=40),
            grid,
            sizing_mode="stretch_width",
            margin=0,
            styles={"gap": "16px"},
        )
        return pn.Column(self._absent, self._all, sizing_mode="stretch_width", margin=0)

    def fill(self) -> None:
        """See `Page`; without a run there is nothing to fill."""
        if not self.run and self.now.views:
            self.run = next(iter(self.now.views.values())).name
        missing = self.view is None
        self._absent.object = why_absent(self, _PROMISE) if missing else ""
        self._all.visible = not missing
        if not missing:
            super().fill()

    def _closed(self, part: str) -> Any:
        frames = self.frames
        return getattr(frames, part) if frames is not None else getattr(queries.NOTHING, part)

    def _once(self, what: object, make: Callable[[], T]) -> T:
        """What is made of the closed rounds, by the first session that shows it."""
        frames = self.frames
        return make() if frames is None else frames.made.once((type(self), what), make)

    def _once_now(self, what: object, make: Callable[[], T]) -> T:
        """What is made of the picture and the closed rounds, by the first session that shows it."""
        frames = self.frames
        closed = frames and (frames.generation, frames.round)
        return self.now.made.once((type(self), self.run_id, closed, what), make)

    # --- key figures ----------------------------------------------------------------------------

    def _fill_figures(self) -> None:
        self._figures.object = self._once_now("figures", self._figures_now)

    def _figures_now(self) -> str:
        view = self.view
        assert view is not None, "filled only where there is a run"
        markup = kpi.kpis(
            [
                kpi.Figure("Round", f"{view.round}", f"of {view.rounds}"),
                *self._metric_figures(),
                kpi.Figure("Clients", *_clients(view)),
                kpi.Figure("Uploaded", glance.size(view.bytes_up)),
                kpi.Figure(
                    "Time a round",
                    glance.seconds(view.seconds_a_round) if view.seconds_a_round else words.NOTHING,
                    "" if view.status.over else f"{glance.seconds(view.left_s)} left",
                ),
            ]
        )
        said = _why(view.error, view.noted) + _ended(view, self._closed("rounds"))
        return markup + said

    def _metric_figures(self) -> list[kpi.Figure]:
        view = self.view
        assert view is not None, "filled only where there is a run"
        name = view.headline
        values = [row.metrics[name] for row in view.rows if name in row.metrics]
        if not values:
            return []
        moved = words.change(values[0] - values[1]) if len(values) > 1 else ""
        return [kpi.Figure(glance.sentence(name), words.number(values[0]), moved)]

    # --- the metric -----------------------------------------------------------------------------

    def _fill_curve(self) -> None:
        view, frames = self.view, self.frames
        assert view is not None, "filled only where there is a run"
        drawn = frames, self.metric
        if frames is not None and drawn == self._drawn:
            return
        names = self._once("names", lambda: queries.names(self._closed("metrics")))
        if names and list(self._choice.options) != names:
            self._choice.options = names
        name = self.metric if self.metric in names else next(iter(names), "")
        if name and self._choice.value != name:
            self._choice.value = name
        line, band = self._once(("series", name), lambda: self._series(name))
        self._curve.name_y(glance.words(name) or "value")
        self._curve.show((self.run, view.generation, name), line, band)
        self._legend.object = _curve_legend(name, bool(band["round"]))
        self.retitle(self._chart, _sentence(name, bool(band["round"])))
        self._drawn = frames, self.metric

    def _series(self, name: str) -> tuple[plots.Columns, plots.Columns]:
        line = plots.columns(queries.series(self._closed("metrics"), name), plots.LINE)
        if name != "train_loss":
            return line, plots.NO_BAND
        return line, plots.columns(self._closed("band"), plots.BAND)

    def _chosen(self, event: Any) -> None:
        if event.new and event.new != self.metric and (self.metric or event.old):
            self.metric = event.new
            self._fill_curve()

    def _fill_bars(self) -> None:
        frames = self.frames
        line = frames and (frames.run, frames.branch, frames.generation)
        bars = self._once("bars", lambda: plots.Bars.of(line, self._closed("rounds")))
        self._bars.show(bars)

    # --- words ----------------------------------------------------------------------------------

    def _fill_events(self) -> None:
        self._events.object = self._once("events", lambda: _happened(self._closed("events")))

    def _fill_open(self) -> None:
        self._open.object = self._once_now("open", self._open_now)

    def _open_now(self) -> str:
        view = self.view
        assert view is not None, "filled only where there is a run"
        if view.status.over:
            return states.empty(f"No round is open: the run is {glance.state(view)}.")
        parts = glance.clients(view) or "between two rounds"
        told = f"<p><b>Round {view.round + 1}</b> {escape(parts)}</p>{_bar(view)}"
        return told + self._once("late", self._late)

    def _late(self) -> str:
        """Who could not be used in the last closed round; for those who may see single clients."""
        if not self.person.may("operator"):
            return '<p class="quiet">Operators see here who was late or refused.</p>'
        unused = self._closed("unused")
        if not len(unused):
            return '<p class="quiet">Everybody was in the last closed round.</p>'
        rows = [
            (
                Html(f'<span class="name">{escape(one.client)}</span>'),
                one.outcome,
                _first_line(one.reason),
            )
            for one in unused.head(20).itertuples()
        ]
        columns = (Column("Client", "name"), Column("Outcome"), Column("Why", "wrap"))
        number = int(unused["round"].max())
        return f"<h2>Not used in round {number}</h2>" + table("Clients not used", columns, rows)


def _happened(events: Any) -> str:
    """The newest events as a table that scrolls; viewers are told of no clients."""
    if not len(events):
        return states.empty("What happens in each round will be listed here.")
    rows = [
        (
            one.round,
            glance.words(one.kind),
            clipped(" ".join(filter(None, (getattr(one, "client", ""), one.detail)))),
        )
        for one in events.tail(_EVENTS).iloc[::-1].itertuples()
    ]
    columns = (Column("Round"), Column("What"), Column("More", "wrap"))
    return f'<div style="max-height:320px;overflow-y:auto">{table("Events", columns, rows)}</div>'


def _clients(view: Any) -> tuple[str, str]:
    if view.status.over or not view.invited:
        row = view.rows[0] if view.rows else None
        return (f"{row.accepted}", f"of {row.invited}") if row else (words.NOTHING, "")
    return f"{view.accepted}", f"of {view.invited} in"


def _why(error: str, noted: str) -> str:
    return "".join(
        f'<div class="note {kind}" style="margin-top:8px">{escape(text)}</div>'
        for kind, text in (("bad", error), ("busy", noted))
        if text
    )


def _ended(view: Any, rounds: Any) -> str:
    """When and how it ended, of a run that is over."""
    if not view.status.over or not len(rounds):
        return ""
    when = words.clock(rounds["closed_at"].iloc[-1].to_pydatetime())
    return f'<p class="quiet" style="margin-top:8px">The run is {escape(glance.state(view))}; its last round closed {when}.</p>'


def _bar(view: Any) -> str:
    total = max(1, view.invited)
    counts = {"accepted": view.accepted, "refused": view.refused, "lost": view.lost}
    shares = ((n, plots.OUTCOME_COLOURS[name]) for name, n in counts.items())
    parts = "".join(
        f'<span style="width:{100 * n / total:.1f}%;background:{colour}"></span>'
        for n, colour in shares
    )
    return (
        f'<div role="img" aria-label="{escape(glance.clients(view))}" style="display:flex;height:8px;'
        f'border-radius:4px;overflow:hidden;background:var(--line);margin:0 0 16px">{parts}</div>'
    )


def _sentence(name: str, banded: bool) -> str:
    if not name:
        return "The metric by round"
    if name == "train_loss":
        return "Training loss of the clients by round" + (
            ", with the band of 90 % of them" if banded else ""
        )
    return f"{glance.sentence(name)} of the global model by round"


def _curve_legend(name: str, banded: bool) -> str:
    entries = {"mean of the clients" if name == "train_loss" else "global model": HUES[0]}
    if banded:
        entries["5 %, median and 95 % of the clients"] = HUES[1]
    return plots.legend(entries) if name else ""


def _first_line(text: str) -> str:
    lines = str(text or "").strip().splitlines()
    return lines[-1] if lines else ""
