"""System: the coordinator, the store, versions, who did what, and who has a token."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import panel as pn
from panel_material_ui import Grid

from flnb.core.cards import Html, sparkline
from flnb.core.clock import SYSTEM_CLOCK
from flnb.dashboards import facts, words
from flnb.dashboards.components import states
from flnb.dashboards.components.panes import html
from flnb.dashboards.components.tables import Column, table
from flnb.dashboards.components.tables import facts as fact_table
from flnb.dashboards.page import QUESTIONS, Page
from flnb.dashboards.pages.tokens import Tokens

_AGAIN_S, _LAGS = 5.0, 60
_LOG = (
    Column("When"),
    Column("Who"),
    Column("What"),
    Column("Run"),
    Column("Why", "wrap"),
)


class System(Page):
    """What the lab runs on."""

    title: ClassVar[str] = "System"
    path: ClassVar[str] = "system"
    of_a_run: ClassVar[bool] = False
    address: ClassVar[dict[str, str]] = {}

    def build(self) -> pn.viewable.Viewable:
        """See `Page`."""
        self._known: Mapping[str, Any] = {}
        self._lags_s = deque[float](maxlen=_LAGS)
        self._asked_s = -_AGAIN_S
        panes = {
            title: html(states.loading(title.lower(), 120))
            for title in ("Coordinator", "Store", "Versions", "Clients", "Operations log")
        }
        self._panes = panes
        tokens = Tokens(self)
        thirds = {"xs": 12, "md": 6, "lg": 4}
        cards = [
            Grid(self.pane(title, panes[title], self._filler(title), height=160), size=thirds)
            for title in ("Coordinator", "Store", "Versions")
        ]
        log = self.pane(
            "Operations log, newest first", panes["Operations log"], self._fill_log, height=200
        )
        return Grid(
            *cards,
            Grid(self.pane("Clients", panes["Clients"], self._filler("Clients")), size=12),
            Grid(self.pane("Tokens", tokens.view, tokens.fill), size=12),
            Grid(log, size=12),
            container=True,
            spacing=3,
            margin=0,
        )

    def fill(self) -> None:
        """See `Page`; what blocks is asked in a thread, at most every few seconds."""
        super().fill()
        now_s = SYSTEM_CLOCK.monotonic_s()
        if now_s - self._asked_s >= _AGAIN_S:
            self._asked_s = now_s
            pn.state.execute(self.later(self._look, self._told, pool=QUESTIONS))

    def _look(self) -> Mapping[str, Any]:
        return facts.look(self.sight, self.orders.target, self.person)

    def _told(self, known: Mapping[str, Any]) -> None:
        if known["lag_s"] is not None:
            self._lags_s.append(known["lag_s"])
            known = {
                **known,
                "Coordinator": {**known["Coordinator"], "Loop lag": _lag(self._lags_s)},
            }
        self._known = known
        super().fill()

    def _filler(self, title: str) -> Any:
        def fill() -> None:
            if title in self._known:
                self._panes[title].object = _shown(self._known[title])

        return fill

    def _fill_log(self) -> None:
        pane = self._panes["Operations log"]
        if not self.person.may("operator"):
            pane.object = states.denied("The operations log", "operator")
            return
        log = self._known.get("log")
        if log is None:
            return
        now = SYSTEM_CLOCK.now()
        rows = [
            (
                words.moment(one.at.to_pydatetime(), now),
                one.actor,
                one.verb,
                _about(one),
                one.reason,
            )
            for one in log.itertuples()
        ]
        pane.object = (
            table("Operations log", _LOG, rows)
            if rows
            else states.empty("Nobody did anything yet.")
        )


def _lag(values_s: Iterable[float]) -> Html:
    """How late the loop of the coordinator was, as the newest number and as a small curve."""
    values_ms = [1e3 * value for value in values_s]
    curve = sparkline(values_ms, label="loop lag in ms", width_px=120, height_px=24)
    return Html(f"{values_ms[-1]:,.0f} ms at most in 15 s &nbsp;{curve}")


def _shown(known: Any) -> Html | str:
    return fact_table(known.items()) if isinstance(known, Mapping) else str(known)


def _about(one: Any) -> str:
    """Which branch of which run something was done to; what is missing in a frame is no text."""
    named = [part for part in (one.run, one.branch) if isinstance(part, str) and part]
    return " · ".join(named) or "the lab"
