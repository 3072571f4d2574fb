"""Studies: the grid of a study as a heat map, every cell with its run, its notebook and the report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlencode

import panel as pn
import panel_material_ui as pmui

from flnb.core import glance
from flnb.core.cards import Html, escape
from flnb.core.clock import SYSTEM_CLOCK
from flnb.core.errors import FLBaseError
from flnb.core.view import RunView
from flnb.dashboards import words
from flnb.dashboards.components import states
from flnb.dashboards.components.panes import html
from flnb.dashboards.components.tables import Column, table
from flnb.dashboards.page import QUESTIONS, Page, Text, in_session_after
from flnb.dashboards.pages.overview import run_link
from flnb.dashboards.pages.rolling_back import refusal
from flnb.dashboards.pages.study_files import StudyFiles
from flnb.dashboards.sources import Source
from flnb.dashboards.standing import Snapshot
from flnb.dashboards.study_watch import StudyNow
from flnb.experiments import rows
from flnb.experiments.report import heat
from flnb.experiments.report.measured import lower_is_better
from flnb.experiments.report.of_study import StudyFacts, parameters_of
from flnb.experiments.report.settings import Setting, as_text
from flnb.experiments.report.study_parts import square

if TYPE_CHECKING:
    import pandas as pd

    from flnb.store import StudyCell

_AGAIN_S, _MOST_ROWS = 2.0, 200
_START = "flnb study run experiments/fedavg.yaml --workers 2"
_MAP_CSS = (
    "figure { margin: 0; } figcaption { font-size: 13px; color: var(--quiet); margin-bottom: 8px; }"
)
_ORDER = ("finished", "running", "waiting", "cut off", "failed", "out of time")


class Studies(Page):
    """What became of the cells of a study, and what is best."""

    title: ClassVar[str] = "Studies"
    path: ClassVar[str] = "studies"
    of_a_run: ClassVar[bool] = False
    address: ClassVar[dict[str, str]] = {"study": "study"}

    study = Text(default="", doc="Name of the study; empty is the newest")

    @classmethod
    def is_offered(cls, now: Snapshot) -> bool:
        """See `Page`: a lab without a study has no use for it."""
        return bool(now.studies)

    def build(self) -> pn.viewable.Viewable:
        """See `Page`."""
        self._facts: StudyFacts | None = None
        self._stamp: object = None
        self._asking, self._failed_s = False, -_AGAIN_S
        self._picker = pmui.Select(label="Study", options=[], size="small", width=280, margin=0, visible=False)  # fmt: skip
        self._picker.param.watch(self._picked, "value")
        self._line, self._hint, self._map, self._cells = (
            html(),
            html(),
            html(css=heat.CSS + _MAP_CSS),
            html(),
        )
        self.files = StudyFiles(self)
        self.param.watch(lambda *_: self._again(), "study")
        self._grid = self.pane("The grid", self._map, self._fill_map, height=160)
        self._parts = pn.Column(
            self._grid,
            *([self.pane("Report and notebooks", self.files.view, self.files.fill)] if self.files.lab else ()),
            self.pane("Every cell", self._cells, self._fill_cells, height=160),
            sizing_mode="stretch_width", margin=0, styles={"gap": "24px"}, visible=False,
        )  # fmt: skip
        return pn.Column(
            self._picker, self._line, self._hint, self._parts,
            sizing_mode="stretch_width", margin=0, styles={"gap": "16px"},
        )  # fmt: skip

    @property
    def chosen(self) -> StudyNow | None:
        """The study that is shown."""
        known = self.now.studies
        named = [one for one in known if one.name == self.study]
        return next(iter(named or ([] if self.study else known)), None)

    def fill(self) -> None:
        """See `Page`."""
        names = [one.name for one in self.now.studies]
        if list(self._picker.options) != names:
            self._picker.options, self._picker.visible = names, len(names) > 1
        chosen = self.chosen
        self._parts.visible = chosen is not None
        if chosen is None:
            self._line.object, self._hint.object = "", self._why()
            return
        if self._picker.value != chosen.name:
            self._picker.value = chosen.name
        self._line.object = _progress(chosen)
        super().fill()
        self._ask(chosen)

    def _why(self) -> str:
        if self.now.standing.kind in {"loading", "offline"} and not self.now.studies:
            return states.loading("the studies", 240)
        if self.now.studies:
            return states.empty(f"This lab has no study “{self.study}”.")
        return states.empty("The studies of this lab will be shown here. Execute one:", _START)

    # --- measures -------------------------------------------------------------------------------

    def _ask(self, chosen: StudyNow) -> None:
        """Look at what was measured, whenever something became of a cell."""
        stamp = chosen.name, tuple((cell.key, cell.outcome, cell.run) for cell in chosen.cells)
        early = SYSTEM_CLOCK.monotonic_s() - self._failed_s < _AGAIN_S
        if self._asking or early or stamp == self._stamp:
            return
        self._stamp, self._asking = stamp, True
        look = self.later(
            lambda: self._look_or_say(chosen, stamp), lambda found: self._told(stamp, found),
            also=self._done, pool=QUESTIONS,
        )  # fmt: skip
        pn.state.execute(look)

    def _look_or_say(self, chosen: StudyNow, stamp: Any) -> StudyFacts | FLBaseError:
        try:
            source = self.sight.source
            frame = self.sight.shared.get(
                ("study", chosen.name), stamp, lambda: _measured(source, chosen)
            )
        except FLBaseError as error:
            return error
        return StudyFacts(
            name=chosen.name, cells=frame, parameters=parameters_of(chosen.cells, frame),
            curves=frame.iloc[:0], asked_for={},
        )  # fmt: skip

    def _told(self, stamp: object, found: StudyFacts | FLBaseError) -> None:
        if stamp != self._stamp:  # another one was chosen meanwhile
            return
        if isinstance(found, FLBaseError):
            self._stamp, self._failed_s = None, SYSTEM_CLOCK.monotonic_s()
            self._hint.object = refusal(found)
            in_session_after(_AGAIN_S, self.fill)
            return
        self._facts, self._hint.object = found, ""
        super().fill()

    def _done(self) -> None:
        self._asking = False

    def _again(self) -> None:
        self._facts = self._stamp = None
        self.fill()

    def _picked(self, event: Any) -> None:
        if event.new and self.chosen is not None and event.new != self.chosen.name:
            self.study = event.new

    # --- what is shown --------------------------------------------------------------------------

    def _fill_map(self) -> None:
        facts, chosen = self._facts, self.chosen
        if facts is None or chosen is None:
            self._map.object = states.loading("the grid", 160)
            return
        settings, metric = facts.settings, facts.headline
        if not (settings.axes and settings.is_grid):
            self._map.object = states.empty("Its parameters do not make a grid; the cells are below.")  # fmt: skip
            return
        best = f"best_{metric}" if metric else ""
        squares = {one.name: square(one, best, _link(one)) for one in settings.all}
        seeds = "Mean over seeds. " if facts.cells["seed"].nunique() > 1 else ""
        caption = f"{seeds}Hatched is running, crossed failed."
        self._map.object = heat.heat_map(caption, settings, squares, falls=lower_is_better(metric))
        what = f"{glance.sentence(metric)} in the best round" if metric else "What became of each"
        self.retitle(self._grid, f"{what}, by {' and '.join(settings.axes)}")

    def _fill_cells(self) -> None:
        facts, chosen = self._facts, self.chosen
        if facts is None or chosen is None:
            self._cells.object = states.loading("the cells", 160)
            return
        metric, axes = facts.headline, facts.settings.axes
        troubled = self.person.may("operator") and any(cell.why for cell in chosen.cells)
        seeded = any(cell.seed is not None for cell in chosen.cells)
        columns = [
            *map(Column, axes), *((Column("Seed", "n"),) if seeded else ()), Column("State"),
            *((Column(glance.sentence(metric), "n"), Column("Best", "n")) if metric else ()),
            Column("Round", "n"), Column("Time", "n"), Column("Run"), *((Column("Why", "wrap"),) if troubled else ()),
        ]  # fmt: skip
        measured = {str(row["key"]): row for row in facts.cells.to_dict("records")}
        views = {view.name: view for view in self.now.views.values()}
        shown = [
            (
                *(as_text(measured[cell.key].get(axis)) for axis in axes), *((as_text(cell.seed),) if seeded else ()), _state(cell),
                *((words.number(measured[cell.key][metric]), words.number(measured[cell.key][f"best_{metric}"])) if metric else ()),
                _round(views.get(cell.run), measured[cell.key]["rounds"]), _lasted(cell), _run(cell),
                *((cell.why.partition("\n")[0],) if troubled else ()),
            )
            for cell in chosen.cells[:_MOST_ROWS] if cell.key in measured
        ]  # fmt: skip
        more = len(chosen.cells) - _MOST_ROWS
        rest = f'<p class="quiet">{more} more; the report has them all.</p>' if more > 0 else ""
        self._cells.object = table(f"Cells of {chosen.name}", columns, shown) + rest


def _measured(source: Source, study: StudyNow) -> pd.DataFrame:
    """What became of each cell, with what its run was measured by."""
    measured = source.measured(study)
    by_run = {run: rows.columns_of(found) for run, found in sorted(measured.items())}
    return rows.table(study.cells, by_run)


def _progress(study: StudyNow) -> str:
    """How many cells are in which state."""
    counts = {state: sum(cell.outcome == state for cell in study.cells) for state in _ORDER}
    told = " &nbsp; ".join(f"{_mark(state)} {count}" for state, count in counts.items() if count)
    head = f"<b>{escape(study.name)}</b> &nbsp; {glance.count(len(study.cells), 'cell')}"
    return f"<p>{head} &nbsp; {told}</p>"


def _mark(state: str) -> Html:
    look = glance.mark({"cut off": "interrupted", "out of time": "late"}.get(state, state))
    return Html(
        f'<span class="status {words.kind(state if state != "out of time" else "failed")}"><span class="shape" '
        f'aria-hidden="true">{look.shape}</span> {escape(state)}</span>'
    )


def _state(cell: StudyCell) -> Html:
    taken = f' <span class="quiet">from {escape(cell.origin)}</span>' if cell.origin else ""
    return Html(f"{_mark(str(cell.outcome))}{taken}")


def _round(view: RunView | None, rounds: float | None) -> str:
    if view is not None:
        return f"{view.round}/{view.rounds}"
    return words.number(rounds) if rounds == rounds else words.NOTHING


def _lasted(cell: StudyCell) -> str:
    return glance.seconds(cell.seconds_s) if cell.seconds_s else words.NOTHING


def _run(cell: StudyCell) -> Html | str:
    if not cell.run:
        return words.NOTHING
    return Html(f'<a href="{escape(run_link("rounds", cell.run))}">{escape(cell.run)}</a>')


def _link(setting: Setting) -> str:
    """Where the runs of a setting are looked at: one by itself, several beside each other."""
    runs = [run for run in setting.cells["run"] if run]
    if len(runs) < 2:
        return run_link("rounds", runs[0]) if runs else ""
    return f"compare?{urlencode({'runs': ','.join(runs)})}"
