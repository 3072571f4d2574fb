"""Compare: runs and branches side by side."""

from __future__ import annotations

from typing import Any, ClassVar

import pandas as pd
import panel as pn
import panel_material_ui as pmui
import param

from flnb.coordinator.history.comparing import AXES, Comparison
from flnb.core import glance
from flnb.core.cards import Html, escape
from flnb.core.clock import SYSTEM_CLOCK
from flnb.core.errors import FLBaseError
from flnb.core.view import RunView
from flnb.dashboards import plots, words
from flnb.dashboards.access import sees_clients
from flnb.dashboards.components import states
from flnb.dashboards.components.panes import html
from flnb.dashboards.components.tables import Column, table
from flnb.dashboards.overlay import MOST, Overlay, colour_of
from flnb.dashboards.page import QUESTIONS, Flag, Page, Text, in_session_after
from flnb.dashboards.pages.rolling_back import refusal
from flnb.dashboards.seeds import over_seeds

_WORDS = {
    "round": "Round",
    "seconds": "Seconds of rounds",
    "bytes_up": "Bytes uploaded",
}
_AGAIN_S = 2.0
_BOLDER = '"bolder", at=30, strategy=run.plan.strategy.replace(server_lr=0.3)'
"""How a branch is made that differs; `plan` is the run's own."""


class Compare(Page):
    """Curves, settings that differ, and last rounds of several runs."""

    title: ClassVar[str] = "Compare"
    path: ClassVar[str] = "compare"
    of_a_run: ClassVar[bool] = False
    address: ClassVar[dict[str, str]] = {
        "runs": "runs", "metric": "metric", "x": "x", "log_y": "log",
    }  # fmt: skip

    runs = Text(default="", doc="Names of the runs, with commas between them")
    metric = Text(default="", doc="Name of the metric; empty is the first")
    x: Any = param.Selector(default="round", objects=list(AXES), doc="What the curves go by")
    log_y = Flag(default=False, doc="Whether the metric's axis is logarithmic")

    def build(self) -> pn.viewable.Viewable:
        """See `Page`."""
        self._comparison: Comparison | None = None
        self._stamp: object = None
        self._asking, self._failed_s = False, -_AGAIN_S
        self._choice = pmui.MultiChoice(label=f"Runs, at most {MOST}", options=[], margin=0, sizing_mode="stretch_width")  # fmt: skip
        self._choice.param.watch(self._chosen, "value")
        self._metric = pmui.Select(label="Metric", options=[], size="small", width=200, margin=0, visible=False)  # fmt: skip
        self._metric.param.watch(self._measured, "value")
        axis = pmui.Select.from_param(
            self.param.x, label="By", description="", options={text: name for name, text in _WORDS.items()},
            size="small", width=200, margin=0,
        )  # fmt: skip
        scale = pmui.Checkbox.from_param(
            self.param.log_y, label="Logarithmic", description="", margin=0
        )
        self._hint, self._legend, self._settings = html(), html(), html()
        self._last, self._code = html(), html()
        self._overlay = Overlay()
        self.param.watch(lambda *_: self._again(), "runs")
        self.param.watch(lambda *_: self.fill(), ["metric", "x", "log_y"])
        chart = pn.Column(
            pn.FlexBox(self._metric, axis, scale, gap="16px", align_items="center", margin=(8, 0)),
            self._legend,
            self._overlay.view,
            sizing_mode="stretch_width",
            margin=0,
        )
        self._chart = self.pane("The metric of the runs", chart, self._fill_chart, height=400)
        self._parts = pn.Column(
            self._chart,
            self.pane("The last round of each", self._last, self._fill_last, height=120),
            self.pane("Settings that differ", self._settings, self._fill_settings, height=80),
            self.pane("The same in Python", self._code, self._fill_code),
            sizing_mode="stretch_width",
            margin=0,
            styles={"gap": "24px"},
        )
        return pn.Column(
            self._choice, self._hint, self._parts,
            sizing_mode="stretch_width", margin=0, styles={"gap": "16px"},
        )  # fmt: skip

    @property
    def chosen(self) -> list[str]:
        """Names of the runs that are compared."""
        known = self.names()
        named = [name for name in self.runs.split(",") if name in known]
        return list(dict.fromkeys(named))[:MOST]

    def fill(self) -> None:
        """See `Page`."""
        names = self.names()
        if list(self._choice.options) != names:
            self._choice.options = names
        if not self.runs and len(names) > 1:
            self.runs = ",".join(names[:2])
        chosen = self.chosen
        if list(self._choice.value or ()) != chosen:
            self._choice.value = chosen
        enough = len(chosen) > 1
        self._parts.visible = enough
        if not enough:
            self._say(self._why())
            return
        if self._stamp is not None:  # else what stands there may be why the last look failed
            self._say("")
        super().fill()
        self._ask()

    def _why(self) -> str:
        if self.now.standing.kind in {"loading", "offline"} and not self.now.views:
            return states.loading("the runs", 320)
        if len(self.now.views) < 2:
            return states.empty(
                "Two runs or branches can be compared here. Make a branch:",
                f"run.branch({_BOLDER})",
            )
        return states.empty("Choose two runs or more.")

    def _ask(self) -> None:
        views = [view for view in self.now.views.values() if view.name in self.chosen]
        stamp = tuple((view.name, view.generation, view.round) for view in views)
        early = SYSTEM_CLOCK.monotonic_s() - self._failed_s < _AGAIN_S
        if self._asking or early or stamp == self._stamp:
            return
        self._stamp, self._asking = stamp, True
        pn.state.execute(
            self.later(
                lambda: self._look_or_say(stamp),
                lambda found: self._told(stamp, found),
                also=self._done,
                pool=QUESTIONS,
            )
        )

    def _look_or_say(self, stamp: object) -> Comparison | FLBaseError:
        try:
            return self._look(stamp)
        except FLBaseError as error:
            return error

    def _look(self, stamp: object) -> Comparison:
        source, now = self.sight.source, self.now
        ids = [run for name in self.chosen if (run := now.run_named(name)) is not None]
        clients = sees_clients(self.person.role)
        key = ("compare", tuple(ids), clients)
        return self.sight.shared.get(
            key, stamp, lambda: Comparison([source.run(one) for one in ids], clients=clients)
        )

    def _told(self, stamp: object, found: Comparison | FLBaseError) -> None:
        if stamp != self._stamp:  # others were chosen meanwhile
            self._asking = False
            self.fill()
            return
        if isinstance(found, FLBaseError):
            self._stamp, self._failed_s = None, SYSTEM_CLOCK.monotonic_s()
            self._say(refusal(found))
            in_session_after(_AGAIN_S, self.fill)
            return
        self._say("")
        self._comparison = found
        super().fill()

    def _say(self, said: str) -> None:
        self._hint.object, self._hint.visible = said, bool(said)

    def _done(self) -> None:
        self._asking = False

    def _again(self) -> None:
        self._comparison = self._stamp = None
        self.fill()

    def _chosen(self, event: Any) -> None:
        named = ",".join(event.new)
        if named != ",".join(self.chosen):
            self.runs = named

    def _measured(self, event: Any) -> None:
        if event.new and event.new != self.metric and event.old:
            self.metric = event.new

    # --- what is shown --------------------------------------------------------------------------

    def _fill_chart(self) -> None:
        if self._comparison is None:
            return
        frame = self._comparison.df()
        names = sorted(set(frame["metric"]), key=lambda name: (name == "loss", name))
        if list(self._metric.options) != names and names:
            self._metric.options, self._metric.visible = names, True
        name = self.metric if self.metric in names else next(iter(names), "")
        if name and self._metric.value != name:
            self._metric.value = name
        mine = frame[frame["metric"] == name]
        curves = {run: mine[mine["run"] == run] for run in self.chosen}
        self._overlay.show(curves, self.x, words_x=_WORDS[self.x], words_y=glance.words(name), log_y=self.log_y)  # fmt: skip
        colours: dict[str, str] = {escape(run): colour_of(i) for i, run in enumerate(self.chosen)}
        self._legend.object = f"<p>{plots.legend(colours)}</p>"
        title = f"{glance.sentence(name) or 'The metric'} of {len(self.chosen)} runs"
        self.retitle(self._chart, f"{title} by {_WORDS[self.x].lower()}")

    def _fill_last(self) -> None:
        views = [view for view in self.now.views.values() if view.name in self.chosen]
        measured = list(dict.fromkeys(name for view in views for name in _last_metrics(view)))
        columns = [Column("Run", "name"), Column("Status"), Column("Round", "n")]
        columns += [Column(glance.sentence(name), "n") for name in measured]
        columns.append(Column("Uploaded", "n"))
        rows = [
            (
                view.name, words.status(view), f"{view.round}/{view.rounds}",
                *(words.number(_last_metrics(view).get(name)) for name in measured),
                glance.size(view.bytes_up),
            )
            for view in views
        ]  # fmt: skip
        shown = table("The last round of each run", columns, rows)
        if self._comparison is not None:
            shown = Html(shown + _seeds(over_seeds(self._comparison)))
        self._last.object = shown

    def _fill_settings(self) -> None:
        if self._comparison is None:
            self._settings.object = states.loading("the settings", 80)
            return
        plans = self._comparison.plans
        if not len(plans):
            self._settings.object = states.empty("All settings of their plans are the same.")
            return
        columns = [Column("Setting"), *(Column(name, "wrap") for name in plans.columns[1:])]
        self._settings.object = table("Settings that differ", columns, [list(row.values()) for row in plans])  # fmt: skip

    def _fill_code(self) -> None:
        held = ", ".join(f"lab.run({name!r})" for name in self.chosen)
        name = self._metric.value or "accuracy"
        self._code.object = (
            f'<pre tabindex="0">comparison = flnb.compare({escape(held)})\n'
            f"comparison.plot({escape(repr(name))}, x={escape(repr(self.x))})\ncomparison.df()</pre>"
        )


def _last_metrics(view: RunView) -> dict[str, float]:
    return dict(view.rows[0].metrics) if view.rows else {}


def _seeds(groups: pd.DataFrame) -> str:
    """Mean and spread of runs that differ in their seed alone; empty without such runs."""
    if not len(groups):
        return ""
    columns = (
        Column("Runs that differ in their seed alone", "wrap"), Column("Seeds", "n"),
        Column("Metric"), Column("Mean ± sd of the last round", "n"),
    )  # fmt: skip
    rows = [
        (one["runs"], one["n"], glance.words(one["metric"]), f"{words.number(one['mean'])} ± {words.number(one['sd'])}")
        for one in groups.to_dict("records")
    ]  # fmt: skip
    return f'<div style="margin-top:24px">{table("Mean over seeds", columns, rows)}</div>'
