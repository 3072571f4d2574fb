"""Tokens of people: who has one, making one (shown once), revoking all of somebody's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import panel as pn
import panel_material_ui as pmui

from flnb.coordinator import revoked_words, token_state
from flnb.core.cards import escape
from flnb.core.clock import SYSTEM_CLOCK
from flnb.dashboards.components import states
from flnb.dashboards.components.dialog import Dialog, typed
from flnb.dashboards.components.panes import html
from flnb.dashboards.components.tables import Column, table

if TYPE_CHECKING:
    from flnb.coordinator.granting import Grant
    from flnb.dashboards.page import Page
    from flnb.store import TokenRecord

_AGAIN_S = 5.0


class Tokens:
    """The part of System that is for admins.

    Args:
        page: Whose person gives the orders.
    """

    def __init__(self, page: Page) -> None:
        self._page, self._asked_s = page, -_AGAIN_S
        self._list = html()
        self._name = pmui.TextInput(label="Name", width=240, margin=(8, 0))
        self._role = pmui.Select(
            label="Role", options=["viewer", "operator", "admin"], width=240, margin=(8, 0)
        )
        self._expires = pmui.TextInput(label="Good for", value="30d", width=240, margin=(8, 0))
        self._making = Dialog(
            "A pass for a person",
            [self._name, self._role, self._expires],
            "Make the pass",
            self._make,
            needs=[self._name],
        )
        self._whose = pmui.TextInput(label="Name", width=240, margin=(8, 0))
        self._taking = Dialog(
            "Revoke all passes of a person",
            [html("<p>What that person has open ends within seconds.</p>"), self._whose],
            "Revoke the passes", self._revoke, danger=True, needs=[self._whose],
        )  # fmt: skip
        small: dict[str, Any] = {"variant": "outlined", "size": "small", "margin": 0}
        self._make_button = pmui.Button(label="Make a pass…", on_click=self._making.open, **small)
        self._take_button = pmui.Button(
            label="Revoke…", color="error", on_click=self._taking.open, **small
        )
        self._buttons = pn.FlexBox(
            self._make_button,
            self._take_button,
            self._making.view,
            self._taking.view,
            gap="8px",
            margin=0,
        )
        self.view = pn.Column(
            self._list, self._buttons, sizing_mode="stretch_width", margin=0, styles={"gap": "16px"},
        )  # fmt: skip

    def fill(self) -> None:
        """List them; asks at most every few seconds."""
        page = self._page
        may = page.person.may("admin")
        self._buttons.visible = may
        if not may:
            self._list.object = states.denied("The list of tokens", "admin")
            return
        live = page.now.standing.kind == "live"
        self._make_button.disabled = self._take_button.disabled = not live
        if not live:
            self._list.object = states.empty(
                "Tokens are listed and made while a coordinator answers; or:", "flnb token NAME"
            )
            return
        now_s = SYSTEM_CLOCK.monotonic_s()
        if now_s - self._asked_s >= _AGAIN_S:
            self._asked_s = now_s
            pn.state.execute(page.later(self._ask, self._show))

    def _ask(self) -> Sequence[TokenRecord]:
        page = self._page
        return list(page.orders.give(page.person, lambda there: there.tokens))

    def _show(self, records: Sequence[TokenRecord]) -> None:
        good = sorted(records, key=lambda one: (one.revoked_at is not None, one.name))
        columns = (Column("Name", "name"), Column("Role"), Column("State"))
        rows = [(one.name, one.role, token_state(one)) for one in good[:100]]
        self._list.object = (
            table("Tokens", columns, rows) if rows else states.empty("Nobody has a token.")
        )

    async def _make(self, _: Any) -> None:
        page, name = self._page, typed(self._name)
        role, expires = str(self._role.value), self._expires.value

        def work() -> Grant:
            return page.orders.give(
                page.person, lambda there: there.token(name, role=role, expires=expires)
            )

        await page.later(work, self._made)()

    def _made(self, grant: Grant) -> None:
        self._making.said.object = (
            f'<div class="note"><p><b>{escape(grant.name)}</b> is {escape(grant.role)}. '
            f"This line is shown once; hand it over by a way that others do not read:</p>"
            f'<pre style="white-space:pre-wrap;overflow-wrap:anywhere">{escape(grant.text)}</pre></div>'
        )
        self._asked_s = -_AGAIN_S

    async def _revoke(self, _: Any) -> None:
        page, name = self._page, typed(self._whose)

        def work() -> int:
            return page.orders.give(page.person, lambda there: there.revoke_token(name))

        await page.later(work, lambda count: self._revoked(name, count))()

    def _revoked(self, name: str, count: int) -> None:
        self._taking.close()
        self._page.toast(revoked_words(name, count), "success")
        self._asked_s = -_AGAIN_S
