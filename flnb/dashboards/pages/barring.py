"""Keeping a client out of the next rounds, for a while or for good."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import panel as pn
import panel_material_ui as pmui

from flnb.coordinator import ClientRow
from flnb.dashboards.components.dialog import Dialog, typed
from flnb.dashboards.components.panes import html

if TYPE_CHECKING:
    from flnb.coordinator.control.connection import Connection
    from flnb.dashboards.pages.client import Client


class Barring:
    """Quarantine, release and revoke, for the client of a page.

    Args:
        page: Whose client it is.
    """

    def __init__(self, page: Client) -> None:
        self._page = page
        self._why = html()
        self._reason = pmui.TextInput(
            label="Reason, kept in the log", sizing_mode="stretch_width", margin=(8, 0)
        )
        self._resting = Dialog(
            "Keep this client out of the next rounds",
            [
                html("<p>It stays connected and is not drawn until it is released.</p>"),
                self._reason,
            ],
            "Quarantine the client",
            self._quarantine,
            needs=[self._reason],
        )
        self._last_reason = pmui.TextInput(
            label="Reason, kept in the log", sizing_mode="stretch_width", margin=(8, 0)
        )
        self._revoking = Dialog(
            "Revoke this client",
            [html("<p>Its connection ends now. Only a new invite lets it in again.</p>"), self._last_reason],
            "Revoke the client",
            self._revoke,
            danger=True,
            needs=[self._last_reason],
        )  # fmt: skip
        small: dict[str, Any] = {"variant": "outlined", "size": "small", "margin": 0}
        self._quarantine_button = pmui.Button(
            label="Quarantine…", on_click=self._resting.open, **small
        )
        self._release_button = pmui.Button(label="Release", on_click=self._release, **small)
        self._revoke_button = pmui.Button(
            label="Revoke…", color="error", on_click=self._revoking.open, **small
        )
        self.view = pn.FlexBox(
            self._quarantine_button,
            self._release_button,
            self._revoke_button,
            self._why,
            self._resting.view,
            self._revoking.view,
            gap="8px",
            align_items="center",
            margin=0,
        )

    def fill(self, client: ClientRow | None) -> None:
        """Show what can be done with it now."""
        why, resting = (
            self._page.refusal(),
            client is not None and client.quarantined_at is not None,
        )
        self._quarantine_button.disabled = bool(why) or resting or not self._page.client
        self._release_button.disabled = bool(why) or not resting
        joined = client is not None and client.state not in {"revoked", "simulated", "invited"}
        self._revoke_button.disabled = bool(why) or not (joined and self._page.person.may("admin"))
        self._why.object = f'<span class="quiet">{why}</span>' if why else ""

    async def _quarantine(self, _: Any) -> None:
        name, reason = self._page.client, typed(self._reason)
        await self._do(
            lambda there: there.quarantine(name, reason), f"{name} is not drawn any more"
        )
        self._resting.close()

    async def _release(self, _: Any) -> None:
        name = self._page.client
        await self._do(lambda there: there.release(name), f"{name} can be drawn again")

    async def _revoke(self, _: Any) -> None:
        name, reason = self._page.client, typed(self._last_reason)
        await self._do(lambda there: there.revoke(name, reason), f"{name} is revoked")
        self._revoking.close()

    async def _do(self, order: Callable[[Connection], object], said: str) -> None:
        page = self._page

        def work() -> str:
            page.orders.give(page.person, order)
            return said

        def then(text: str) -> None:
            page.toast(text, "success")
            page.ask_again()

        await page.later(work, then)()
