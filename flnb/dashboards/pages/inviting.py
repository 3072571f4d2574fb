"""Letting a client join: the line to run there is shown once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import panel as pn
import panel_material_ui as pmui

from flnb.core.cards import escape
from flnb.dashboards.components.dialog import Dialog, typed
from flnb.dashboards.components.panes import html

if TYPE_CHECKING:
    from flnb.coordinator import Invitation
    from flnb.dashboards.page import Page


class Inviting:
    """A button for admins, and its dialog.

    Args:
        page: Where it stands.
    """

    def __init__(self, page: Page) -> None:
        self._page = page
        self._name = pmui.TextInput(label="Name of the client", placeholder="hospital-a", width=320)
        self._expires = pmui.TextInput(label="Good for", value="2h", width=160)
        self._dialog = Dialog(
            "Invite a client",
            [
                html("<p>The invite is good once. Whoever has it can join under that name.</p>"),
                pn.Row(self._name, self._expires),
            ],
            "Make the invite",
            self._invite,
            needs=[self._name],
        )
        self.button = pmui.Button(
            label="Invite a client…", size="small", margin=0, disabled=not page.person.may("admin")
        )
        self.button.on_click(self._dialog.open)
        self.dialog = self._dialog.view

    async def _invite(self, _: Any) -> None:
        page, name, expires = self._page, typed(self._name), typed(self._expires)

        def work() -> Invitation:
            return page.orders.give(page.person, lambda there: there.invite(name, expires=expires))

        await page.later(work, self._invited)()

    def _invited(self, made: Invitation) -> None:
        line = f"flnb client join {made.text} --task PACKAGE:FUNCTION --data DIR"
        self._dialog.said.object = (
            f"<p>Run this at {escape(made.client)}, before {made.expires_at:%Y-%m-%d %H:%M} UTC. "
            f'It is shown only now.</p><pre tabindex="0">{escape(line)}</pre>'
        )
