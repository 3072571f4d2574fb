"""Clients: who was given work in a run, what became of it, and who is here now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import pandas as pd
import panel as pn
import panel_material_ui as pmui
import param

from flnb.coordinator import ClientRow
from flnb.core import glance
from flnb.core.cards import Html, escape
from flnb.dashboards import client_queries, queries, words
from flnb.dashboards.components import listing, states
from flnb.dashboards.components.panes import html
from flnb.dashboards.components.tables import Column, table
from flnb.dashboards.heat import Heat
from flnb.dashboards.page import Number, Text
from flnb.dashboards.pages.inviting import Inviting
from flnb.dashboards.pages.of_run import OfRun
from flnb.dashboards.sources import Live, Source

ROUNDS, ROWS = 40, 40
"""What the strip shows: the last so many rounds of so many clients."""
_ORDERS = {
    "client": "Name",
    "-accepted": "Most accepted",
    "-refused": "Most refused or failed",
    "-missed": "Most late or lost",
    "-loss": "Highest loss",
    "-norm": "Largest update",
    "-p95_s": "Slowest",
    "-bytes_up": "Most uploaded",
}
_COLUMNS = (
    Column("Client", "name"),
    Column("State"),
    Column("Accepted", "n"),
    Column("Refused", "n"),
    Column("Late, lost", "n"),
    Column("Examples", "n"),
    Column("Loss", "n"),
    Column("Update norm", "n"),
    Column("p95 answer", "n"),
    Column("Uploaded", "n"),
    Column("Last round", "n"),
)


@dataclass(frozen=True, slots=True)
class _Known:
    """What was found out about the clients of a run."""

    summary: pd.DataFrame
    values: pd.DataFrame
    here: Mapping[str, ClientRow]


class Clients(OfRun):
    """The clients of a run, a page at a time."""

    title: ClassVar[str] = "Clients"
    path: ClassVar[str] = "clients"
    needs: ClassVar[str] = "operator"
    promise: ClassVar[str] = "The clients of a run will be listed here. Start one:"
    address: ClassVar[dict[str, str]] = {
        "run": "run", "find": "find", "sort": "sort", "page": "page", "colour": "colour",
    }  # fmt: skip

    find = Text(default="", doc="Words that a client's name must hold")
    sort: Any = param.Selector(default="client", objects=list(_ORDERS), doc="Order of the list")
    page = Number(default=1, bounds=(1, None), doc="Page of the list")
    colour: Any = param.Selector(
        default="loss", objects=list(client_queries.MEASURED), doc="What the strip's colour is"
    )

    def parts(self) -> pn.viewable.Viewable:
        """See `OfRun`."""
        self._known: _Known | None = None
        self._table = html(states.loading("the clients", 480))
        self._where, self._heat = html(styles={"flex": "1 1 160px"}), Heat(ROWS)
        find = pmui.TextInput.from_param(
            self.param.find, label="Find clients", description="", placeholder="name", size="small", width=240, margin=0
        )  # fmt: skip
        sort = _choice(self.param.sort, "Order", _ORDERS)
        colour = _choice(self.param.colour, "Colour", client_queries.MEASURED)
        self._back = pmui.Button(label="Previous", size="small", variant="outlined", margin=0)
        self._on = pmui.Button(label="Next", size="small", variant="outlined", margin=0)
        self._back.on_click(lambda _: self._turn(-1))
        self._on.on_click(lambda _: self._turn(1))
        self.param.watch(lambda *_: self._reset(), ["find", "sort"])
        self.param.watch(lambda *_: self.fill(), "page")
        self.param.watch(lambda *_: self.ask_again(), "colour")
        inviting = Inviting(self)
        strip = pn.Column(
            colour,
            pn.pane.Bokeh(self._heat.figure, sizing_mode="stretch_width", margin=(8, 0, 0, 0)),
            sizing_mode="stretch_width",
            margin=0,
        )
        self._strip = self.pane("Training loss by client and round", strip, self._fill_strip, height=240)  # fmt: skip
        return pn.Column(
            pn.FlexBox(find, sort, inviting.button, gap="16px", align_items="center", margin=0),
            inviting.dialog,
            self.pane("", self._table, self._fill_table, height=480),
            pn.FlexBox(self._back, self._on, self._where, gap="16px", align_items="center", margin=0),
            self._strip,
            sizing_mode="stretch_width",
            margin=0,
            styles={"gap": "16px"},
        )  # fmt: skip

    def ask(self) -> _Known:
        """See `OfRun`."""
        source, run = self.source, self.run_id
        assert run is not None, "asked only where there is a run"
        line, stamp, colour = queries.line(source, run), self.stamp, self.colour
        shared = self.sight.shared
        return _Known(
            shared.get(("clients", run), stamp, lambda: client_queries.summary(source, line)),
            shared.get(
                ("strip", run, colour),
                stamp,
                lambda: client_queries.by_round(source, line, colour, ROUNDS),
            ),
            here(source),
        )

    def told(self, found: _Known) -> None:
        """See `OfRun`."""
        self._known = found

    def _reset(self) -> None:
        self.page = 1
        self.fill()

    def _turn(self, by: int) -> None:
        self.page = max(1, self.page + by)

    def _fill_table(self) -> None:
        if self._known is None:
            return
        everybody = self._known.summary
        if not len(everybody):
            self._table.object = states.empty("Nobody was given work yet in this run.")
            return
        shown = listing.part_of(
            everybody, find=self.find, within="client", sort=self.sort, page=self.page
        )
        self._back.disabled, self._on.disabled = shown.page <= 1, shown.page >= shown.pages
        self._where.object = f'<span class="quiet">{shown.words}</span>'
        if not shown.total:
            self._table.object = states.empty(f"No client fits “{self.find}”.")
            return
        known = self._known.here
        rows = [self._cells(row, known.get(row["client"])) for _, row in shown.rows.iterrows()]
        self._table.object = table("Clients of the run", _COLUMNS, rows)

    def _cells(self, row: Any, client: ClientRow | None) -> tuple[object, ...]:
        name = str(row["client"])
        href = escape(self.address_of("client", name=name))
        link = Html(f'<a href="{href}" title="{escape(name)}">{escape(name)}</a>')
        return (
            link,
            state(client),
            f"{row['accepted']:,}",
            f"{row['refused']:,}",
            f"{row['missed']:,}",
            words.NOTHING if pd.isna(row["n_examples"]) else f"{int(row['n_examples']):,}",
            words.number(row["loss"]),
            words.number(row["norm"]),
            glance.seconds(row["p95_s"]) if row["p95_s"] > 0 else words.NOTHING,
            words.NOTHING if pd.isna(row["bytes_up"]) else glance.size(int(row["bytes_up"])),
            f"{row['last_round']}",
        )

    def _fill_strip(self) -> None:
        if self._known is None:
            return
        everybody, what = self._known.summary, client_queries.MEASURED[self.colour]
        shown = listing.part_of(
            everybody, find=self.find, within="client", sort=self.sort, page=self.page
        )
        self._heat.show(self._known.values, shown.rows["client"].to_list())
        self.retitle(self._strip, f"{what} by client and round, last {ROUNDS} rounds")


def here(source: Source) -> Mapping[str, ClientRow]:
    """The remote clients by name, while a coordinator tells of them."""
    if not isinstance(source, Live):
        return {}
    return {row.client: row for row in source.connection.clients}


def state(client: ClientRow | None) -> Html:
    """What a client is doing, as shape, word and colour; who never joined is simulated."""
    if client is None:
        return Html('<span class="quiet">simulated</span>')
    shape, kind = _SHAPES.get(client.state, ("○", "quiet"))
    if client.quarantined_at is not None:
        shape, kind = "⊘", "busy"
    return Html(
        f'<span class="status {kind}"><span class="shape" aria-hidden="true">{shape}</span> '
        f"{escape(client.doing)}</span>"
    )


_SHAPES = {
    "idle": ("●", "good"),
    "training": ("●", "good"),
    "uploading": ("●", "good"),
    "failed": ("✕", "bad"),
    "revoked": ("⊘", "bad"),
    "simulated": ("○", "quiet"),
}


def _choice(parameter: Any, label: str, words_of: Mapping[str, str]) -> pmui.Select:
    return pmui.Select.from_param(
        parameter, label=label, description="", options={text: name for name, text in words_of.items()},
        size="small", width=220, margin=0,
    )  # fmt: skip
