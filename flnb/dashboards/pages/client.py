"""One client: every round in which it was given work, beside its cohort."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import pandas as pd
import panel as pn

from flnb.coordinator import ClientRow
from flnb.core import glance
from flnb.core.cards import Html, escape
from flnb.dashboards import client_queries, plots, queries, words
from flnb.dashboards.components import kpi, states
from flnb.dashboards.components.panes import html
from flnb.dashboards.components.tables import Column, table
from flnb.dashboards.page import Text
from flnb.dashboards.pages.barring import Barring
from flnb.dashboards.pages.clients import here, state
from flnb.dashboards.pages.of_run import OfRun
from flnb.dashboards.theme import HUES

_SHOWN = 100
_COLUMNS = (
    Column("Round"),
    Column("Outcome"),
    Column("Examples", "n"),
    Column("Loss", "n"),
    Column("Update norm", "n"),
    Column("Answer", "n"),
    Column("Uploaded", "n"),
    Column("Why", "wrap"),
)


@dataclass(frozen=True, slots=True)
class _Known:
    """What was found out about a client."""

    name: str
    story: pd.DataFrame
    cohort: pd.DataFrame
    here: ClientRow | None


class Client(OfRun):
    """One client of a run."""

    title: ClassVar[str] = "Client"
    path: ClassVar[str] = "client"
    needs: ClassVar[str] = "operator"
    in_menu: ClassVar[bool] = False
    promise: ClassVar[str] = "What a client did will be shown here. Start a run:"
    address: ClassVar[dict[str, str]] = {"run": "run", "client": "name"}

    client = Text(default="", doc="Name of the client")

    def parts(self) -> pn.viewable.Viewable:
        """See `OfRun`."""
        self._known: _Known | None = None
        self._figures = html(states.loading("the client", 96), css=kpi.CSS)
        self._rows = html()
        self._norms = plots.Curve("L2 norm of the update")
        self._barring = Barring(self)
        legend = {"this client": HUES[0], "5 %, median and 95 % of all clients": HUES[1]}
        chart = pn.Column(
            html(f"<p>{plots.legend(legend)}</p>"),
            pn.pane.Bokeh(self._norms.figure, sizing_mode="stretch_width", margin=0),
            sizing_mode="stretch_width",
            margin=0,
        )
        return pn.Column(
            self.pane("", self._figures, self._fill_figures, height=96),
            self.pane("", self._barring.view, self._fill_barring, height=40),
            self.pane(
                "Norm of its updates by round, beside the band of all clients",
                chart, self._fill_norms, height=340,
            ),
            self.pane("Its rounds, newest first", self._rows, self._fill_rows, height=240),
            sizing_mode="stretch_width",
            margin=0,
            styles={"gap": "16px"},
        )  # fmt: skip

    def ask(self) -> _Known:
        """See `OfRun`."""
        source, run, name = self.source, self.run_id, self.client
        assert run is not None, "asked only where there is a run"
        line, shared, stamp = queries.line(source, run), self.sight.shared, self.stamp
        return _Known(
            name,
            shared.get(
                ("client", run, name), stamp, lambda: client_queries.story(source, line, name)
            ),
            shared.get(
                ("norms", run), stamp, lambda: client_queries.cohort_norms(source, line)
            ),
            here(source).get(name),
        )  # fmt: skip

    def told(self, found: _Known) -> None:
        """See `OfRun`."""
        self._known = found

    def _fill_figures(self) -> None:
        known = self._known
        if known is None:
            return
        heading = f"<h2>{escape(known.name) or 'No client is named'}</h2>"
        if not len(known.story):
            self._figures.object = heading + states.empty(
                "It was given no work in this run." if known.name else "Choose one in Clients."
            )
            return
        outcomes = known.story["outcome"].value_counts()
        used = int(outcomes.get("accepted", 0))
        figures = [
            kpi.Figure("Updates accepted", f"{used}", f"of {len(known.story)}"),
            kpi.Figure("Refused or failed", f"{_sum(outcomes, 'refused', 'failed')}"),
            kpi.Figure("Late or lost", f"{_sum(outcomes, 'late', 'lost')}"),
            kpi.Figure("Loss", words.number(_last(known.story["loss"]))),
            kpi.Figure("Uploaded", glance.size(int(known.story["bytes_up"].fillna(0).sum()))),
        ]
        who = state(known.here) + _last_seen(known.here)
        self._figures.object = f"{heading}<p>{who}</p>{kpi.kpis(figures)}"

    def _fill_barring(self) -> None:
        self._barring.fill(self._known.here if self._known is not None else None)

    def _fill_norms(self) -> None:
        known = self._known
        if known is None:
            return
        mine = known.story[["round", "norm"]].dropna().rename(columns={"norm": "value"})
        view = self.view
        kind = (self.run, known.name, view.generation if view else 0)
        self._norms.show(
            kind, plots.columns(mine, plots.LINE), plots.columns(known.cohort, plots.BAND)
        )

    def _fill_rows(self) -> None:
        known = self._known
        if known is None or not len(known.story):
            self._rows.object = states.empty(
                "Each round in which it was given work is listed here."
            )
            return
        newest = known.story.iloc[::-1].head(_SHOWN)
        rows = [_cells(one) for one in newest.itertuples()]
        self._rows.object = table("Rounds of the client", _COLUMNS, rows)


def _cells(one: Any) -> tuple[object, ...]:
    colour = "good" if one.outcome == "accepted" else "busy"
    if one.outcome in {"refused", "failed"}:
        colour = "bad"
    return (
        one.round,
        Html(f'<span class="{colour}">{escape(one.outcome)}</span>'),
        words.NOTHING if pd.isna(one.n_examples) else f"{int(one.n_examples):,}",
        words.number(one.loss),
        words.number(one.norm),
        glance.seconds(one.arrived_s) if one.arrived_s > 0 else words.NOTHING,
        words.NOTHING if pd.isna(one.bytes_up) else glance.size(int(one.bytes_up)),
        _why(one.reason),
    )


def _why(reason: str | None) -> Html:
    """The last line; the rest, such as a traceback, unfolds."""
    lines = str(reason or "").strip().splitlines()
    if len(lines) < 2:
        return escape("".join(lines))
    whole = escape("\n".join(lines))
    return Html(f"<details><summary>{escape(lines[-1])}</summary><pre>{whole}</pre></details>")


def _last_seen(client: ClientRow | None) -> str:
    if client is None or client.last_seen_at is None:
        return ""
    return f' <span class="quiet">last seen {escape(words.clock(client.last_seen_at))}</span>'


def _sum(counts: Any, *names: str) -> int:
    return sum(int(counts.get(name, 0)) for name in names)


def _last(values: Any) -> float | None:
    known = values.dropna()
    return float(known.iloc[-1]) if len(known) else None
