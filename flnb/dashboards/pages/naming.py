"""Giving a checkpoint an alias, under a condition, and reverting it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import panel as pn
import panel_material_ui as pmui

from flnb.core.clock import SYSTEM_CLOCK
from flnb.core.errors import FLBaseError
from flnb.dashboards import words
from flnb.dashboards.components import listing, states
from flnb.dashboards.components.dialog import Dialog, typed
from flnb.dashboards.components.panes import html
from flnb.dashboards.components.tables import Column, table
from flnb.dashboards.pages.rolling_back import refusal

if TYPE_CHECKING:
    from flnb.coordinator.history.checkpoint import Checkpoint
    from flnb.dashboards.pages.of_run import OfRun

_COLUMNS = (
    Column("Alias"), Column("Round"), Column("Given", "n"), Column("By"), Column("Why", "wrap"),
)  # fmt: skip


class Aliases:
    """The list of aliases, and a way to revert one that was of another round before.

    Args:
        page: Whose run it is.
    """

    def __init__(self, page: OfRun) -> None:
        self._page, self._list = page, html()
        self._movable = pmui.Select(label="Alias", options=[], size="small", width=200, margin=0)
        self._revert = pmui.Button(
            label="Revert to the round before", variant="outlined", size="small", margin=0
        )
        self._revert.on_click(lambda _: revert(page, str(self._movable.value)))
        self._row = pn.FlexBox(
            self._movable, self._revert, gap="8px", align_items="center", margin=(16, 0, 0, 0), visible=False,
        )  # fmt: skip
        self.view = pn.Column(self._list, self._row, sizing_mode="stretch_width", margin=0)

    def fill(self, given: Sequence[dict[str, Any]]) -> None:
        """Show what was given, newest first; what cannot be reverted is not offered."""
        times = Counter(one["name"] for one in given if one["kind"] == "alias")
        movable = [name for name, n in times.items() if n > 1]
        if list(self._movable.options) != movable:
            self._movable.options = movable
        self._row.visible, self._revert.disabled = bool(movable), bool(self._page.refusal())
        if not given:
            self._list.object = states.empty(
                "Aliases of checkpoints will be listed here:", 'run.alias("serving", "@best")'
            )
            return
        now = SYSTEM_CLOCK.now()
        rows = [
            (
                f"@{one['name']}", f"{one['branch']} round {one['round']}",
                words.moment(one["at"], now), one["actor"], one["reason"],
            )
            for one in given[: listing.PAGE]
        ]  # fmt: skip
        self._list.object = table("Aliases, newest first", _COLUMNS, rows)


class Naming:
    """The dialog that gives an alias.

    Args:
        page: Whose run it is.
    """

    def __init__(self, page: OfRun) -> None:
        self._page = page
        self._at: int | str = "@head"
        self._name = pmui.TextInput(label="Alias", placeholder="serving", width=240, margin=(8, 0))
        self._condition = pmui.TextInput(
            label="Only if (may be empty)", placeholder="accuracy > 0.9", width=320, margin=(8, 0)
        )
        self._reason = pmui.TextInput(
            label="Reason (may be empty)", sizing_mode="stretch_width", margin=(8, 0)
        )
        self.dialog = Dialog(
            "Give this checkpoint an alias",
            [
                html(
                    "<p>An alias is of one round at a time; which it was before stays on record.</p>"
                ),
                self._name,
                self._condition,
                self._reason,
            ],
            "Give the alias",
            self._give,
            needs=[self._name],
        )

    def ask(self, at: int | str) -> None:
        """Open the dialog for a checkpoint."""
        self._at = at
        self.dialog.view.title = f"Give {at if isinstance(at, str) else f'round {at}'} an alias"
        self.dialog.open()

    async def _give(self, _: Any) -> None:
        page, at = self._page, self._at
        name, reason, condition = map(typed, (self._name, self._reason, self._condition))

        def work() -> Checkpoint | FLBaseError:
            run = page.run_id or page.run
            try:
                return page.orders.give(
                    page.person,
                    lambda there: there.attach(run).alias(name, at, if_=condition, reason=reason),
                )
            except FLBaseError as error:
                return error

        await page.later(work, lambda found: self._given(name, found))()

    def _given(self, name: str, found: Checkpoint | FLBaseError) -> None:
        if isinstance(found, FLBaseError):
            self.dialog.said.object = refusal(found)
            return
        self.dialog.close()
        self._page.toast(f"@{name.removeprefix('@')} is round {found.round} now", "success")
        self._page.ask_again()


def revert(page: OfRun, name: str) -> Any:
    """What a button calls to let an alias be again of the round that it was of before."""

    def work() -> Checkpoint:
        run = page.run_id or page.run
        return page.orders.give(
            page.person, lambda there: there.attach(run).revert_alias(name, reason="")
        )

    def then(found: Checkpoint) -> None:
        page.toast(f"@{name} is round {found.round} again", "success")
        page.ask_again()

    return pn.state.execute(page.later(work, then))
