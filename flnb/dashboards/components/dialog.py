"""A dialog that asks before a deed: Escape closes it, and the deed's button says what it does."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import panel as pn
import panel_material_ui as pmui

from flnb.dashboards.components.panes import html

_WRAPPED = {"whiteSpace": "normal", "overflowWrap": "anywhere"}
"""Names of branches are long, and phones narrow."""


class Dialog:
    """Asks something; the document puts the focus back where it was (see `focus.py`).

    Args:
        title: What it is about.
        parts: What is shown and asked.
        deed: The button that does it, such as `Stop quiet-otter`.
        do: Called when it is pressed; may be a coroutine.
        danger: Whether the deed is coloured as one that takes something away.
        needs: Boxes of `parts`; until something stands in each the deed cannot be done.

    Whenever it opens, its boxes are as at first: what was said of one is not said of the next, and nobody gets
    the role of whoever came before.
    """

    def __init__(
        self,
        title: str,
        parts: Sequence[Any],
        deed: str,
        do: Callable[[Any], Any],
        *,
        danger: bool = False,
        needs: Sequence[Any] = (),
    ) -> None:
        self.said = html()
        """What came of it, when that is worth a sentence in the dialog."""
        self._do, self._doing = do, False
        colour = "error" if danger else "primary"
        self.deed = pmui.Button(
            label=deed, color=colour, on_click=self._pressed, margin=0, sx=_WRAPPED
        )
        self._cancel = pmui.Button(
            label="Cancel", variant="outlined", on_click=lambda _: self.close(), margin=0
        )
        buttons = pn.FlexBox(self._cancel, self.deed, gap="16px", margin=(16, 0, 0, 0))
        self.view = pmui.Dialog(
            *parts,
            self.said,
            buttons,
            title=title,
            open=False,
            close_on_click=True,
            width_option="sm",
            sx={"& .MuiDialogTitle-root": _WRAPPED | {"maxWidth": "100%"}},
        )
        boxes: list[Any] = self.view.select(_is_box)
        self._first = [(box, box.value) for box in boxes]
        self._needs = tuple(needs)
        for box in self._needs:
            box.param.watch(lambda *_: self._weigh(), ["value", "value_input"])
        if self._needs:
            self._weigh()

    def open(self, _: Any = None) -> None:
        """Show it."""
        self.said.object = ""
        for box, first in self._first:
            box.value = first
            if not isinstance(box, pmui.Select):
                box.value_input = first
        self.view.open = True

    def close(self) -> None:
        """Hide it; nothing is done."""
        self.view.open = False

    async def _pressed(self, event: Any) -> None:
        if self._doing or not self._is_said():  # a double click; emptied while it was on its way
            return
        self._doing = True
        try:
            done = self._do(event)
            if inspect.isawaitable(done):
                await done
        finally:
            self._doing = False

    def _is_said(self) -> bool:
        return all(map(typed, self._needs))

    def _weigh(self) -> None:
        ready = self._is_said()
        if self.deed.disabled == ready:
            self.deed.disabled = not ready


def typed(box: Any) -> str:
    """What stands in a box, also before the focus leaves it."""
    written = getattr(box, "value_input", None)  # follows `value`, and is ahead of it
    return str((box.value if written is None else written) or "").strip()


def _is_box(part: Any) -> bool:
    return isinstance(part, pmui.TextInput | pmui.TextAreaInput | pmui.Select)
