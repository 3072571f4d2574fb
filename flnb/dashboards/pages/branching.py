"""Branching from a checkpoint, with other settings if one wants."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import panel_material_ui as pmui
import yaml

from flnb.core.errors import FLBaseError, PlanError
from flnb.dashboards.components.dialog import Dialog, typed
from flnb.dashboards.components.panes import html
from flnb.dashboards.pages.rolling_back import refusal

if TYPE_CHECKING:
    from flnb.coordinator.run import Run
    from flnb.dashboards.pages.of_run import OfRun


class Branching:
    """The dialog that makes a branch.

    Args:
        page: Whose run it is.
    """

    def __init__(self, page: OfRun) -> None:
        self._page = page
        self._at: int | str | None = None
        self._name = pmui.TextInput(label="Name of the branch", placeholder="bolder", width=320, margin=(8, 0))  # fmt: skip
        self._changes = pmui.TextAreaInput(
            label="Settings that are others there (YAML, may be empty)",
            placeholder="rounds: 60", rows=3, sizing_mode="stretch_width", margin=(8, 0),
        )  # fmt: skip
        self.dialog = Dialog(
            "Branch",
            [
                html("<p>Both go on from there side by side; nothing is copied.</p>"),
                self._name,
                self._changes,
            ],
            "Make the branch",
            self._make,
            needs=[self._name],
        )

    def ask(self, at: int | str | None) -> None:
        """Open the dialog for a checkpoint; None is the newest."""
        self._at = at
        where = "the newest commit" if at is None else at if isinstance(at, str) else f"round {at}"
        self.dialog.view.title = f"Branch from {where}"
        self.dialog.open()

    async def _make(self, _: Any) -> None:
        page, name, at = self._page, typed(self._name), self._at
        try:
            changes = settings_in(self._changes.value)
        except PlanError as error:
            self.dialog.said.object = refusal(error)
            return

        def work() -> Run | FLBaseError:
            run = page.run_id or page.run
            try:
                return page.orders.give(
                    page.person, lambda there: there.attach(run).branch(name, at=at, **changes)
                )
            except FLBaseError as error:
                return error

        await page.later(work, self._made)()

    def _made(self, made: Run | FLBaseError) -> None:
        if isinstance(made, FLBaseError):
            self.dialog.said.object = refusal(made)
            return
        self.dialog.close()
        self._page.toast(f"{made.name} branches here; it rests until it is resumed", "success")
        self._page.ask_again()


def settings_in(text: str) -> dict[str, Any]:
    """Settings of a plan, as somebody typed them.

    Examples:
        >>> settings_in("rounds: 60")
        {'rounds': 60}
        >>> settings_in("")
        {}

    Raises:
        PlanError: They are no YAML, or not names with values.
    """
    try:
        found = yaml.safe_load(text or "") or {}
    except yaml.YAMLError as error:
        raise PlanError(f"the settings are no YAML: {error}") from error
    if not isinstance(found, dict) or not all(isinstance(name, str) for name in found):
        raise PlanError("settings are names with values", hint="such as rounds: 60")
    return found
