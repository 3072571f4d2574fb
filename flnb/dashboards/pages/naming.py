"""Giving a checkpoint a name that moves, under a condition, and taking it back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import panel as pn
import panel_material_ui as pmui

from flnb.core.errors import FLBaseError
from flnb.dashboards.components.dialog import Dialog
from flnb.dashboards.components.panes import html
from flnb.dashboards.pages.rolling_back import refusal

if TYPE_CHECKING:
    from flnb.coordinator.history.checkpoint import Checkpoint
    from flnb.dashboards.pages.of_run import OfRun


class Naming:
    """The dialog that gives a name.

    Args:
        page: Whose run it is.
    """

    def __init__(self, page: OfRun) -> None:
        self._page = page
        self._at: int | str = "@head"
        self._name = pmui.TextInput(label="Name", placeholder="serving", width=240, margin=(8, 0))
        self._condition = pmui.TextInput(
            label="Only if (may be empty)", placeholder="accuracy > 0.9", width=320, margin=(8, 0)
        )
        self._reason = pmui.TextInput(
            label="Reason (may be empty)", sizing_mode="stretch_width", margin=(8, 0)
        )
        self.dialog = Dialog(
            "Name this checkpoint",
            [
                html(
                    "<p>A name means one round at a time; what it meant before stays on record.</p>"
                ),
                self._name,
                self._condition,
                self._reason,
            ],
            "Give the name",
            self._give,
        )

    def ask(self, at: int | str) -> None:
        """Open the dialog for a checkpoint."""
        self._at = at
        self.dialog.view.title = f"Name {at if isinstance(at, str) else f'round {at}'}"
        self.dialog.open()

    async def _give(self, _: Any) -> None:
        page, at = self._page, self._at
        name, reason = self._name.value.strip(), self._reason.value.strip()
        condition = self._condition.value.strip()

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
        self._page.toast(f"@{name.removeprefix('@')} means round {found.round} now", "success")
        self._page.ask_again()


def give_back(page: OfRun, name: str) -> Any:
    """What a button calls to let a name mean again what it meant before."""

    def work() -> Checkpoint:
        run = page.run_id or page.run
        return page.orders.give(
            page.person, lambda there: there.attach(run).revert_alias(name, reason="")
        )

    def then(found: Checkpoint) -> None:
        page.toast(f"@{name} means round {found.round} again", "success")
        page.ask_again()

    return pn.state.execute(page.later(work, then))
