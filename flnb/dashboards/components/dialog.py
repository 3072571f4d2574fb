"""A dialog that asks before a deed: Escape closes it, and the deed's button says what it does."""

from __future__ import annotations

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
        needs: Boxes of `parts`; until something stands in each the deed cannot be done. They are
            empty whenever the dialog opens: what was said of one is not said of the next.
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
        colour = "error" if danger else "primary"
        self.deed = pmui.Button(label=deed, color=colour, on_click=do, margin=0, sx=_WRAPPED)
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
        self._needs = tuple(needs)
        for box in self._needs:
            box.param.watch(lambda *_: self._weigh(), ["value", "value_input"])
        if self._needs:
            self._weigh()

    def open(self, _: Any = None) -> None:
        """Show it."""
        self.said.object = ""
        for box in self._needs:
            box.value = box.value_input = ""
        self.view.open = True

    def close(self) -> None:
        """Hide it; nothing is done."""
        self.view.open = False

    def _weigh(self) -> None:
        ready = all(map(typed, self._needs))
        if self.deed.disabled == ready:
            self.deed.disabled = not ready


def typed(box: Any) -> str:
    """What stands in a box, also before the focus leaves it."""
    return str(box.value_input or box.value or "").strip()
