"""Checkpoints: the branches of a run, its commits, their aliases; compare, branch, give an alias, roll back."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, ClassVar

import panel as pn
import panel_material_ui as pmui

from flnb.coordinator.history.checkpoint import Checkpoint
from flnb.coordinator.history.difference import Difference
from flnb.coordinator.history.graph import as_svg
from flnb.coordinator.history.walk import Walk
from flnb.core import glance
from flnb.core.cards import Html, escape
from flnb.core.errors import FLBaseError
from flnb.core.ids import which_of
from flnb.dashboards import queries, words
from flnb.dashboards.commits import Undo, choices, commits, undo_of
from flnb.dashboards.components import listing, states
from flnb.dashboards.components.panes import html
from flnb.dashboards.components.tables import Column, facts, table
from flnb.dashboards.page import QUESTIONS, Number, Text
from flnb.dashboards.pages.branching import Branching
from flnb.dashboards.pages.exporting import Exporting
from flnb.dashboards.pages.naming import Aliases, Naming
from flnb.dashboards.pages.of_run import OfRun
from flnb.dashboards.pages.rolling_back import RollingBack, refusal

_NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class _Known:
    """What was found out about the history of a run."""

    walk: Walk
    aliases: list[dict[str, Any]]
    undo: Undo | None
    chosen: Checkpoint | FLBaseError


class Checkpoints(OfRun):
    """The history of a run, and what can be done with it."""

    title: ClassVar[str] = "Checkpoints"
    path: ClassVar[str] = "checkpoints"
    promise: ClassVar[str] = "The commits of a run will be shown here. Start one:"
    address: ClassVar[dict[str, str]] = {
        "run": "run", "at": "at", "against": "against", "page": "page",
    }  # fmt: skip

    at = Text(default="@head", doc="The checkpoint that is looked at")
    against = Text(default="", doc="The one that it is compared with")
    page = Number(default=1, bounds=(1, None), doc="Page of the list of commits")

    def parts(self) -> pn.viewable.Viewable:
        """See `OfRun`."""
        self._known: _Known | None = None
        self._compared_of: tuple[Hashable, Hashable] | None = None
        self._comparing: Hashable = None
        self._graph = html(states.loading("the branches", 48))
        self._list, self._aliases = html(), Aliases(self)
        self._where = html(styles={"flex": "1 1 160px"})
        self._facts, self._why, self._difference = html(), html(), html()
        self._choice = pmui.Select(label="Checkpoint", options=["@head"], size="small", width=280, margin=0)  # fmt: skip
        self._other = pmui.Select(label="Compare with", options=[_NOTHING], size="small", width=280, margin=0)  # fmt: skip
        self._choice.param.watch(lambda event: self._choose("at", event), "value")
        self._other.param.watch(lambda event: self._choose("against", event), "value")
        self.param.watch(lambda *_: self.ask_again(), "at")
        self.param.watch(lambda *_: self._compare(), ["at", "against"])
        self.param.watch(lambda *_: self.fill(), "page")
        self._rolling, self._branching = RollingBack(self), Branching(self)
        self._naming, self._exporting = Naming(self), Exporting(self)
        detail = pn.Column(
            self._choice, self._facts, self._buttons(), self._why,
            sizing_mode="stretch_width", margin=0, styles={"gap": "8px"},
        )  # fmt: skip
        compared = pn.Column(
            self._other, self._difference, sizing_mode="stretch_width", margin=0, styles={"gap": "8px"},
        )  # fmt: skip
        half = {"xs": 12, "lg": 6}
        grid = pmui.Grid(
            pmui.Grid(self.pane("The checkpoint", detail, self._fill_detail, height=280), size=half),
            pmui.Grid(self.pane("How it differs", compared, lambda: None, height=280), size=half),
            pmui.Grid(self.pane("Commits, newest first", self._listed(), self._fill_list, height=240), size=half),
            pmui.Grid(self.pane("Aliases", self._aliases.view, self._fill_aliases, height=240), size=half),
            container=True, spacing=3, margin=0,
        )  # fmt: skip
        return pn.Column(
            self._rolling.view,
            self.pane("Branches, rounds from left to right", self._graph, self._fill_graph, height=88),
            grid,
            *(one.dialog.view for one in (self._rolling, self._branching, self._naming)),
            sizing_mode="stretch_width",
            margin=0,
            styles={"gap": "16px"},
        )  # fmt: skip

    def _buttons(self) -> pn.FlexBox:
        small: dict[str, Any] = {"variant": "outlined", "size": "small", "margin": 0}
        self._branch = pmui.Button(label="Branch from it…", **small)
        self._name = pmui.Button(label="Alias…", **small)
        self._back = pmui.Button(label="Roll back to it…", color="error", **small)
        self._branch.on_click(lambda _: self._branching.ask(which_of(self.at)))
        self._name.on_click(lambda _: self._naming.ask(which_of(self.at)))
        self._back.on_click(lambda _: self._rolling.ask(which_of(self.at)))
        return pn.FlexBox(
            self._branch,
            self._name,
            self._exporting.file,
            self._back,
            self._exporting.command,
            gap="8px",
            margin=0,
        )

    def _listed(self) -> pn.Column:
        small: dict[str, Any] = {"variant": "outlined", "size": "small", "margin": 0}
        self._newer, self._older = pmui.Button(label="Newer", **small), pmui.Button(label="Older", **small)  # fmt: skip
        self._newer.on_click(lambda _: setattr(self, "page", max(1, self.page - 1)))
        self._older.on_click(lambda _: setattr(self, "page", self.page + 1))
        row = pn.FlexBox(self._newer, self._older, self._where, gap="8px", align_items="center", margin=(8, 0, 0, 0))  # fmt: skip
        return pn.Column(self._list, row, sizing_mode="stretch_width", margin=0)

    # --- asking ---------------------------------------------------------------------------------

    def ask(self) -> _Known:
        """See `OfRun`."""
        held = self.held()
        walk = held.history
        chosen: Checkpoint | FLBaseError
        try:
            chosen = walk.checkpoint(which_of(self.at))
        except FLBaseError as error:
            chosen = error
        may, view = self.person.may("operator"), self.view
        given, undo = queries.aliases(held, clients=may), None
        if may and view is not None:
            undo = undo_of(given, queries.last_roll_back(self.source, view.name, view.branch))
        return _Known(walk, given, undo, chosen)

    def told(self, found: _Known) -> None:
        """See `OfRun`."""
        self._known = found

    def _choose(self, state: str, event: Any) -> None:
        chosen = "" if event.new == _NOTHING else event.new
        if chosen is not None and chosen != getattr(self, state):
            setattr(self, state, chosen)

    def _compare(self) -> None:
        if not self.against:
            self._difference.object, self._compared_of = "", None
            return
        chosen, asked = (self.at, self.against), self._comparison()
        lasting, _ = asked
        if self._compared_of is None or self._compared_of[0] != lasting:
            self._difference.object = states.loading("the comparison", 160)
        elif self._comparing == lasting:
            return  # to read two commits may take longer than a round: the next look asks anew
        self._compared_of, self._comparing = asked, lasting

        def work() -> Difference | FLBaseError:
            at, against = (which_of(one) for one in chosen)
            try:
                walk = self.held().history
                return walk.checkpoint(against).diff(walk.checkpoint(at))
            except FLBaseError as error:
                return error

        def done() -> None:
            if self._comparing == lasting:
                self._comparing = None

        pn.state.execute(
            self.later(
                work, lambda found: self._compared(lasting, found), also=done, pool=QUESTIONS
            )
        )

    def _comparison(self) -> tuple[Hashable, Hashable]:
        """What a comparison is of, and what two names mean: others when the head moves."""
        view = self.view
        lasting = self.run_id, view and view.generation, self.at, self.against
        if not f"{self.at}{self.against}".count("@"):
            return lasting, ()
        return lasting, (view and view.round, str(self._known and self._known.aliases))

    def _compared(self, lasting: Hashable, found: Difference | FLBaseError) -> None:
        if lasting != self._comparison()[0]:
            return  # others were chosen meanwhile, and are asked for
        if isinstance(found, FLBaseError):
            self._difference.object = refusal(found)
            return
        columns = (
            Column("Tensor", "name"), Column("Shape"), Column("Relative change (L2)", "n"),
            Column("Cosine", "n"), Column("Largest", "n"), Column("Same to the bit", "n"),
        )  # fmt: skip
        rows = [
            (
                row["tensor"], row["shape"], words.number(row["relative_l2"]),
                words.number(row["cosine"], 4), words.number(row["largest"]), f"{row['equal']:.0%}",
            )
            for row in found.table
        ]  # fmt: skip
        self._difference.object = (
            f'<p class="quiet">From {_called(self.against)} to {_called(self.at)}.</p>'
            + table("Tensors, the most changed first", columns, rows)
        )

    # --- what is shown --------------------------------------------------------------------------

    def _fill_graph(self) -> None:
        if self._known is None:
            return
        walk = self._known.walk
        self._graph.object = as_svg(walk.title, walk.lanes) if walk.rounds else states.empty(
            "Each branch will be drawn here once a round is closed."
        )  # fmt: skip

    def _fill_detail(self) -> None:
        known = self._known
        if known is None:
            self._facts.object = states.loading("the checkpoint", 160)
            return
        options = choices(known.walk, self.at, self.against)
        if list(self._choice.options) != options:
            self._choice.options, self._other.options = options, [_NOTHING, *options]
        self._choice.value, self._other.value = self.at, self.against or _NOTHING
        self._facts.object = (
            refusal(known.chosen) if isinstance(known.chosen, FLBaseError) else _facts(known.chosen)
        )
        if self.against and self._compared_of != self._comparison():
            self._compare()
        self._weigh()
        self._rolling.offer(known.undo)

    def _weigh(self) -> None:
        assert self._known is not None, "filled only when it is known"
        found, why = self._known.chosen, self.refusal()
        there = isinstance(found, Checkpoint)
        self._branch.disabled = self._name.disabled = bool(why) or not there
        protected = self.at == "@head"
        self._back.disabled = bool(why) or not there or protected
        shown = found if isinstance(found, Checkpoint) else None
        self._exporting.fill(shown, which_of(self.at), why)
        said = why or ("The head is where the branch is already." if protected else "")
        self._why.object = f'<span class="quiet">{said}</span>' if said else ""

    def _fill_list(self) -> None:
        if self._known is None:
            return
        frames, view = self.frames, self.view
        metrics = frames.metrics if frames is not None else queries.NOTHING.metrics
        name = view.headline if view is not None else ""
        frame = commits(self._known.walk, queries.series(metrics, name))
        if not len(frame):
            self._list.object = states.empty("No round is committed yet.")
            return
        shown = listing.part_of(frame, find="", within="branch", sort="", page=self.page)
        self._newer.disabled, self._older.disabled = shown.page <= 1, shown.page >= shown.pages
        self._where.object = f'<span class="quiet">{shown.words}</span>'
        columns = (
            Column("Round"), Column("Branch"), Column(glance.sentence(name) or "Metric", "n"),
            Column("Commit"), Column("Aliases", "wrap"),
        )  # fmt: skip
        rows = [self._row(one) for one in shown.rows.itertuples()]
        self._list.object = table("Commits", columns, rows)

    def _row(self, one: Any) -> tuple[object, ...]:
        href = escape(self.address_of("checkpoints", at=one.which))
        where = one.branch if one.generation == 1 else f"{one.branch} gen {one.generation}"
        return (
            Html(f'<a href="{href}">{one.round}</a>') if one.which else one.round,
            where if one.on_line else Html(f'<span class="quiet">{escape(where)}</span>'),
            words.number(one.value),
            Html(f"<code>{escape(str(one.commit)[:8].lower())}</code>"),
            one.names,
        )

    def _fill_aliases(self) -> None:
        if self._known is not None:
            self._aliases.fill(self._known.aliases)


def _called(which: str) -> str:
    """A choice in a sentence."""
    return escape(f"round {which}" if which.isdecimal() else which)


def _facts(checkpoint: Checkpoint) -> Html:
    measured = [
        (glance.sentence(name), words.number(value, 4))
        for name, value in checkpoint.metrics.items()
    ]
    return facts(
        [
            ("Round", f"{checkpoint.round} of {checkpoint.name}"),
            *measured,
            ("Closed", words.clock(checkpoint.closing.closed_at)),
            ("Parameters", f"{checkpoint.layout.n_parameters:,}"),
            ("Commit", Html(f"<code>{escape(checkpoint.snapshot)}</code>")),
            ("SHA-256", Html(f"<code>{escape(checkpoint.sha256[:16])}…</code>")),
        ]
    )
