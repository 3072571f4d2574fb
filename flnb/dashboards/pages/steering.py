"""The buttons of a run: pause, resume, stop, branch, and the way to a roll back."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import panel as pn
import panel_material_ui as pmui

from flnb.core.view import RunView, Status
from flnb.dashboards.components.dialog import Dialog, typed
from flnb.dashboards.components.panes import html

if TYPE_CHECKING:
    from flnb.dashboards.page import Page

_NEEDS = "operator"


class Steering:
    """Buttons that steer the run of a page; the coordinator decides again who may.

    Args:
        page: Whose run it is.
    """

    def __init__(self, page: Page) -> None:
        self._page = page
        self._pause = _button("Pause after this round", self._order("pause", "pausing"))
        self._resume = _button("Resume", self._order("resume", "goes on"))
        self._branch = _button("Branch from here…", None)
        self._stop = _button("Stop…", None, color="error")
        self._back = _button("Roll back…", None, color="error", href="checkpoints", target="_self")
        self._why = html(styles={"flex": "1 1 160px"})
        self._name = pmui.TextInput(label="Name of the branch", placeholder="bolder", width=320)
        self._branching = Dialog(
            "Branch from the newest commit",
            [
                html(
                    "<p>It begins where the run is and rests until it is resumed; nothing is copied. "
                    "To begin elsewhere, or with other settings: Checkpoints.</p>"
                ),
                self._name,
            ],
            "Make the branch",
            self._make_branch,
            needs=[self._name],
        )
        self._stopping = Dialog(
            "Stop this run for good",
            [
                html(
                    "<p>The open round is given up; what is closed stays. It cannot be resumed.</p>"
                )
            ],
            "Stop the run",
            self._order("stop", "stopping", also=self._close_stopping),
            danger=True,
        )
        self._branch.on_click(self._branching.open)
        self._stop.on_click(self._stopping.open)
        buttons = (self._pause, self._resume, self._branch, self._stop, self._back)
        self.view = pn.FlexBox(
            *buttons, self._why, self._branching.view, self._stopping.view,
            align_items="center", gap="8px", margin=0,
        )  # fmt: skip

    def fill(self) -> None:
        """Show what can be done now."""
        view = self._page.view
        assert view is not None, "filled only where there is a run"
        why = self._refusal()
        _disable(self._pause, bool(why) or view.status not in {Status.RUNNING, Status.WAITING})
        _disable(self._resume, bool(why) or not _can_go_on(view))
        _disable(self._branch, bool(why) or not view.round)
        _disable(self._stop, bool(why) or view.status in {Status.FINISHED, Status.STOPPED})
        _disable(self._back, bool(why) or not view.round)
        href = f"checkpoints?{urlencode({'run': view.name})}"
        if self._back.href != href:
            self._back.href = href
        said = f'<span class="quiet">{why}</span>' if why else ""
        if self._why.object != said:
            self._why.object = said

    def _refusal(self) -> str:
        """Why nothing can be done; empty if it can."""
        page = self._page
        if not page.person.may(_NEEDS):
            return f"You are {page.person.role}; operators steer runs."
        if page.now.standing.kind != "live":
            return "No coordinator answers, so nothing can be changed now."
        return ""

    def _order(
        self, verb: str, doing: str, also: Callable[[], None] | None = None
    ) -> Callable[..., Any]:
        page = self._page

        def work() -> str:
            run = page.run_id or page.run
            page.orders.give(page.person, lambda there: getattr(there.attach(run), verb)())
            return f"{page.run}: {doing}"

        return page.later(work, lambda said: page.toast(said, "success"), also=also)

    async def _make_branch(self, _: Any) -> None:
        page, name = self._page, typed(self._name)

        def work() -> str:
            run = page.run_id or page.run
            made = page.orders.give(page.person, lambda there: there.attach(run).branch(name))
            return made.name

        await page.later(work, self._made)()

    def _made(self, name: str) -> None:
        self._branching.close()
        self._page.toast(f"{name} branches here; it rests until it is resumed", "success")

    def _close_stopping(self) -> None:
        self._stopping.close()


def _button(label: str, do: Callable[..., Any] | None, **options: Any) -> pmui.Button:
    options = {"variant": "outlined", "size": "small", "margin": 0} | options
    made = pmui.Button(label=label, **options)
    if do is not None:
        made.on_click(do)
    return made


def _disable(button: pmui.Button, disabled: bool) -> None:
    if button.disabled != disabled:
        button.disabled = disabled


def _can_go_on(view: RunView) -> bool:
    return view.status in {Status.PAUSED, Status.INTERRUPTED, Status.FAILED, Status.PAUSING}
