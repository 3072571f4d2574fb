"""SQL: one read-only question, its answer as a table and as a quick chart; the question is in the address."""

from __future__ import annotations

import time
from typing import Any, ClassVar

import pandas as pd
import panel as pn
import panel_material_ui as pmui
from bokeh.models import ColumnDataSource

from flnb.core.cards import Html, escape
from flnb.core.errors import FLBaseError
from flnb.dashboards import plots, words
from flnb.dashboards.access import sees_clients
from flnb.dashboards.components import states
from flnb.dashboards.components.panes import html
from flnb.dashboards.components.tables import Column, table
from flnb.dashboards.page import QUESTIONS, Page, Text
from flnb.dashboards.theme import HUES
from flnb.store import FOR_VIEWERS, TABLES

_ROWS, _SECONDS, _SHOWN = 10_000, 5.0, 200
_EXAMPLES = {
    "Accuracy of the newest run": "SELECT branch, round, value FROM metrics WHERE metric = 'accuracy' AND scope = 'central' AND run = (SELECT run FROM runs ORDER BY created_at DESC LIMIT 1) ORDER BY branch, generation, round",
    "Slowest rounds": "SELECT run, round, seconds_s, closed_by FROM rounds ORDER BY seconds_s DESC LIMIT 20",
    "What was lost": "SELECT run, sum(lost) AS lost, sum(late) AS late, sum(refused) AS refused FROM rounds GROUP BY run",
}
_CSS = """
summary { cursor: pointer; padding: 2px 0; } details div { padding: 0 0 8px 16px; }
details td { white-space: normal; padding: 4px 8px 4px 0; font-size: 13px; }
"""


class Sql(Page):
    """One read-only question."""

    title: ClassVar[str] = "SQL"
    path: ClassVar[str] = "sql"
    of_a_run: ClassVar[bool] = False
    address: ClassVar[dict[str, str]] = {"q": "q"}

    q = Text(default="", doc="The question, in the address too: a link saves it")

    def build(self) -> pn.viewable.Viewable:
        """See `Page`."""
        self._editor = pmui.TextAreaInput(
            label="One SELECT", value=self.q or next(iter(_EXAMPLES.values())), rows=5, auto_grow=True,
            max_rows=20, sizing_mode="stretch_width", margin=(8, 0), stylesheets=["textarea{font-family:monospace}"],
        )  # fmt: skip
        self._ask = pmui.Button(label="Run query", on_click=self._asked, size="small", margin=0)
        self._copy = html()
        self._answer = html(states.empty("The answer will be shown here."))
        self._source = ColumnDataSource({"x": [], "y": []})
        self._figure = plots.plain_figure("x", "y", height=260)
        self._line = self._figure.line("x", "y", source=self._source, color=HUES[0], width=2)
        self._figure.scatter("x", "y", source=self._source, color=HUES[0], size=5)
        self._drawn = pn.pane.Bokeh(self._figure, sizing_mode="stretch_width", margin=0)
        self._chart = pn.Column(sizing_mode="stretch_width", margin=0)  # empty takes no room
        self.param.watch(lambda event: setattr(self._editor, "value", event.new), "q")
        examples = [
            pmui.Button(label=name, variant="outlined", size="small", margin=(0, 8, 8, 0),
                        on_click=lambda _, text=text: setattr(self._editor, "value", text))
            for name, text in _EXAMPLES.items()
        ]  # fmt: skip
        left = pn.Column(
            pn.FlexBox(*examples, margin=0),
            self._editor,
            pn.Row(
                self._ask, self._copy, margin=0, styles={"gap": "16px", "align-items": "center"}
            ),
            self.pane(
                "Answer",
                pn.Column(self._chart, self._answer, sizing_mode="stretch_width", margin=0),
                lambda: None,
                height=240,
            ),
            sizing_mode="stretch_width",
            margin=0,
            styles={"gap": "16px"},
        )
        schema = self.pane("Tables", html(self._schema(), css=_CSS), lambda: None)
        if self.q:
            pn.state.onload(self._asked)
        return pmui.Grid(
            pmui.Grid(left, size={"xs": 12, "lg": 9}),
            pmui.Grid(schema, size={"xs": 12, "lg": 3}),
            container=True,
            spacing=3,
            margin=0,
        )

    def _schema(self) -> str:
        """What there is to ask, for this role."""
        seen = [one for one in TABLES if sees_clients(self.person.role) or one.name in FOR_VIEWERS]
        return "".join(
            f"<details><summary><code>{one.name}</code> <span class='quiet'>{escape(one.description)}</span></summary>"
            + "<table>"
            + "".join(
                f"<tr><td><code>{c.name}</code></td><td class='quiet'>{escape(c.description)}</td></tr>"
                for c in one.columns
            )
            + "</table></details>"
            for one in seen
        )

    async def _asked(self, *_: Any) -> None:
        query = self._editor.value.strip()
        if not query:
            self._answer.object = states.empty("Write a SELECT first.")
            return
        self.q, self._ask.disabled = query, True
        self._copy.object = f"<code>lab.sql({escape(repr(query))}).df()</code>"
        self._answer.object = states.loading("the answer", 200)
        await self.later(lambda: self._look(query), self._show, also=self._ready, pool=QUESTIONS)()

    def _look(self, query: str) -> tuple[pd.DataFrame, str] | FLBaseError:
        begun = time.perf_counter()
        try:
            answer = self.sight.source.ask(query, rows=_ROWS, timeout_s=_SECONDS).df()
            return answer, _told(answer, time.perf_counter() - begun)
        except FLBaseError as error:
            return error

    def _ready(self) -> None:
        self._ask.disabled = False

    def _show(self, found: tuple[pd.DataFrame, str] | FLBaseError) -> None:
        if isinstance(found, FLBaseError):
            self._chart.objects = []
            self._answer.object = refusal(found)
            return
        answer, self._answer.object = found
        self._draw(answer)

    def _draw(self, answer: pd.DataFrame) -> None:
        """The first two columns of numbers, if there are two: the quick chart."""
        numbers = [name for name in answer.columns if _kind(answer[name]) == "n"]
        if len(numbers) < 2 or len(answer) < 2:
            self._chart.objects = []
            return
        x, y = numbers[0], numbers[-1]
        self._source.data = {"x": answer[x].to_list(), "y": answer[y].to_list()}
        self._line.visible = bool(answer[x].is_monotonic_increasing and answer[x].is_unique)
        self._figure.xaxis[0].axis_label, self._figure.yaxis[0].axis_label = x, y
        self._chart.objects = [self._drawn]


def refusal(error: FLBaseError) -> Html:
    """Why a question is not answered, and what to do."""
    hint = f'<p class="quiet">{escape(error.hint)}</p>' if error.hint else ""
    return Html(
        f'<div class="note bad" role="alert"><p><b>Not answered.</b> {escape(error.message)}</p>{hint}</div>'
    )


def _told(answer: pd.DataFrame, took_s: float) -> str:
    """An answer as a table, with how many rows it has."""
    more = f", the first {_SHOWN} are shown" if len(answer) > _SHOWN else ""
    said = f'<p class="quiet">{len(answer):,} rows in {took_s * 1e3:.0f} ms{more}.</p>'
    columns = [Column(name, _kind(answer[name])) for name in answer.columns]
    rows = (map(_cell, row) for row in answer.head(_SHOWN).itertuples(index=False))
    shown = table("Answer", columns, [list(row) for row in rows])
    return f'{said}<div class="fit">{shown}</div>'


def _kind(values: pd.Series[Any]) -> str:
    is_number = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
    return "n" if is_number else "wrap"


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return words.number(value, 6)
    try:
        return "" if value is None or value is pd.NaT else str(value)[:2000]
    except NotImplementedError:  # pandas, of a time with a zone beyond the year 9999
        return "(beyond Python's dates)"
