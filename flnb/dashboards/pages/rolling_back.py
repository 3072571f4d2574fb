"""Rolling back, step by step: a preview, a reason, one deed that fails if the head moved, and undo."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import panel as pn
import panel_material_ui as pmui

from flnb.coordinator.history.preview import Preview
from flnb.core import glance
from flnb.core.cards import Html, escape, sparkline
from flnb.core.clock import SYSTEM_CLOCK
from flnb.core.errors import FLBaseError, HeadMovedError
from flnb.dashboards import words
from flnb.dashboards.components import states
from flnb.dashboards.components.dialog import Dialog, typed
from flnb.dashboards.components.panes import html
from flnb.dashboards.components.tables import Column, facts, table

if TYPE_CHECKING:
    from flnb.coordinator.control.connection import Connection
    from flnb.coordinator.history.difference import Difference
    from flnb.dashboards.commits import Undo
    from flnb.dashboards.pages.of_run import OfRun

_MANY = 20
"""So many rounds leave a branch only for who types its name."""
_TENSORS = 5


class RollingBack:
    """The dialog of a roll back, and the way to undo it.

    Args:
        page: Whose run it is.
    """

    def __init__(self, page: OfRun) -> None:
        self._page = page
        self._preview: Preview | None = None
        self._undo_to, self._number = "", 0
        self._told, self._moved = html(), html()
        self._reason = pmui.TextInput(
            label="Reason, kept in the log", sizing_mode="stretch_width", margin=(8, 0)
        )
        self._name = pmui.TextInput(
            label="Name of the branch, to be sure: many rounds leave",
            sizing_mode="stretch_width",
            margin=(8, 0),
        )
        for box in (self._reason, self._name):
            box.param.watch(lambda *_: self._weigh(), ["value", "value_input"])
        self.dialog = Dialog(
            "Roll back",
            [self._moved, self._told, self._reason, self._name],
            "Roll back",
            self._apply,
            danger=True,
        )
        self._undo = pmui.Button(label="Undo…", variant="outlined", size="small", margin=0)
        self._undo.on_click(lambda _: self.ask(self._undo_to))
        self._after = html()
        self.view = pn.FlexBox(
            self._after, self._undo, gap="16px", align_items="center", margin=0, visible=False
        )
        """What was rolled back last, and the way to undo it."""

    def offer(self, undo: Undo | None) -> None:
        """Offer to undo what the log says was done last, until the branch goes on from there."""
        view = self._page.view
        if undo is None or view is None or (view.generation, view.round) != undo.head:
            self.view.visible = False
            return
        self.view.visible = True
        self._undo_to, branch = undo.to, self._page.run
        rests = "; it rests until it is resumed" if view.status.over else ""
        self._after.object = (
            f'<div class="note" role="status">{escape(branch)} was rolled back to round {undo.head[1]} by '
            f"{escape(undo.actor)}, {words.moment(undo.at, SYSTEM_CLOCK.now())}: {escape(undo.reason)}. "
            f"What it left is kept as {escape(undo.to)}{rests}.</div>"
        )
        self._undo.disabled = bool(self._page.refusal())

    def ask(self, to: int | str) -> None:
        """Open the dialog for a target; the preview comes from the coordinator."""
        self._preview = None
        self._told.object, self._moved.object = states.loading("the preview", 160), ""
        self._say_nothing()
        self._name.visible = False
        self._weigh()
        self.dialog.open()
        self._number += 1
        show = partial(self._show_or_say, self._number)
        pn.state.execute(self._page.later(lambda: self._look(to), show))

    def _look(self, to: int | str) -> tuple[Preview, Difference | None] | FLBaseError:
        page = self._page
        run = page.run_id or page.run

        def order(there: Connection) -> tuple[Preview, Difference | None]:
            held = there.attach(run)
            preview = held.rollback(to)
            return preview, self._difference(held, to)

        try:
            return page.orders.give(page.person, order)
        except FLBaseError as error:
            return error

    def _difference(self, held: Any, to: int | str) -> Difference | None:
        """How the model changes; None where one of the two has no commit."""
        try:
            return held.checkpoint("@head").diff(held.checkpoint(to))  # type: ignore[no-any-return]  # a run's
        except FLBaseError:
            return None

    def _show_or_say(
        self, number: int, found: tuple[Preview, Difference | None] | FLBaseError
    ) -> None:
        if number != self._number:
            return  # it is of a target that was asked for before
        if isinstance(found, FLBaseError):
            self._told.object = refusal(found)
            return
        self._preview, difference = found
        self._show(self._preview, difference)

    def _show(self, preview: Preview, difference: Difference | None) -> None:
        view = self._page.view
        curve = [value for _, value in view.curve] if view else []
        drawn = sparkline(curve, label="metric", width_px=240, height_px=32) if curve else ""
        shown = facts((glance.sentence(name), text) for name, text in preview.facts().items())
        self._told.object = f"{shown}<p>{drawn}</p>{_tensors(difference)}{_blocked(preview)}"
        self.dialog.view.title = f"Roll back {preview.name} to round {preview.target}"
        self.dialog.deed.label = f"Roll back {preview.name} to round {preview.target}"
        self._name.visible = len(preview.leaves) > _MANY
        self._weigh()

    def _say_nothing(self) -> None:
        for box in (self._reason, self._name):
            box.param.update(value="", value_input="")

    def _weigh(self) -> None:
        """The deed can be done when there is a preview that is not blocked, a reason, and the name."""
        preview = self._preview
        named = not self._name.visible or (
            preview is not None and typed(self._name) == preview.name
        )
        ready = (
            preview is not None and not preview.blocked_by and bool(typed(self._reason)) and named
        )
        if self.dialog.deed.disabled == ready:
            self.dialog.deed.disabled = not ready

    async def _apply(self, _: Any) -> None:
        preview, reason = self._preview, typed(self._reason)
        if preview is None or not reason:
            return
        self.dialog.deed.disabled = True

        def work() -> FLBaseError | None:
            try:
                preview.apply(reason)
            except FLBaseError as error:
                return error
            return None

        await self._page.later(work, lambda error: self._applied(preview, error))()

    def _applied(self, preview: Preview, error: FLBaseError | None) -> None:
        if isinstance(error, HeadMovedError) and isinstance(error.preview, Preview):
            self._preview = error.preview
            self._moved.object = (
                f'<div class="note busy" role="alert">{escape(error.message)}. Nothing was done; '
                "this is a fresh preview: say the reason again if it is still right.</div>"
            )
            self._say_nothing()  # a second click that was on its way must not take it for read
            self._show(error.preview, None)
            return
        if error is not None:
            self._moved.object = refusal(error)
            self._weigh()
            return
        self.dialog.close()
        self._page.toast(f"{preview.name} is back at round {preview.target}", "success")
        self._page.ask_again()


def refusal(error: FLBaseError) -> Html:
    """Why something was not done, and what to do."""
    hint = f'<p class="quiet">{escape(error.hint)}</p>' if error.hint else ""
    return Html(f'<div class="note bad" role="alert"><p>{escape(error.message)}</p>{hint}</div>')


def _blocked(preview: Preview) -> str:
    """What must be done first; empty if nothing is in the way."""
    if not preview.blocked_by:
        return ""
    names = escape(", ".join(preview.blocked_by))
    return (
        f'<div class="note bad" style="margin-top:8px">{names} would be left behind. Name a checkpoint '
        "that stays in its place first; until then nothing can be rolled back this far.</div>"
    )


def _tensors(difference: Difference | None) -> str:
    if difference is None:
        return ""
    top = list(difference.table)[:_TENSORS]
    rows = [(row["tensor"], words.number(row["relative_l2"])) for row in top]
    columns = (Column("Tensor", "name"), Column("Relative change (L2)", "n"))
    return "<h2>Most changed tensors</h2>" + table("Most changed tensors", columns, rows)
