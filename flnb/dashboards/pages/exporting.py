"""A checkpoint as a safetensors file: a small one from the page, a large one by a command."""

from __future__ import annotations

import asyncio
import tempfile
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import panel_material_ui as pmui

from flnb.coordinator.history.checkpoint import Checkpoint
from flnb.core.cards import escape
from flnb.core.errors import FLBaseError, RoundStateError
from flnb.dashboards.components.panes import html
from flnb.dashboards.page import in_session

if TYPE_CHECKING:
    from flnb.coordinator.control.connection import Connection
    from flnb.dashboards.pages.of_run import OfRun

_MOST_BYTES = 16 * 2**20
"""What a page sends through its socket; more goes by the terminal or the service."""


class Exporting:
    """A button that gives the file, or the command that does.

    Args:
        page: Whose run it is.
    """

    def __init__(self, page: OfRun) -> None:
        self._page = page
        self._checkpoint: Checkpoint | None = None
        self._which: int | str = ""
        self.file = pmui.FileDownload(
            callback=self._write, filename="model.safetensors", label="Export safetensors",
            variant="outlined", size="small", margin=0, embed=False,
        )  # fmt: skip
        self.command = html(visible=False, styles={"flex": "1 1 240px"})

    def fill(self, checkpoint: Checkpoint | None, which: int | str, why_not: str) -> None:
        """Show how the file of a checkpoint is had, that is called so."""
        self._checkpoint, self._which = checkpoint, which
        small = checkpoint is not None and checkpoint.layout.model_bytes <= _MOST_BYTES
        self.file.visible = small or checkpoint is None
        self.file.disabled = bool(why_not) or checkpoint is None
        self.command.visible = not self.file.visible
        if checkpoint is None:
            return
        name = f"{checkpoint.name.replace('/', '-')}-{checkpoint.round}.safetensors"
        self.file.filename = name
        # A name may be of another branch, or of what a roll back left behind; the head moves on.
        named = isinstance(which, str) and which.startswith("@") and which != "@head"
        at = which if named else f"{checkpoint.closing.branch}@{checkpoint.round}"
        self.command.object = f"<code>flnb ckpt export {escape(self._page.run)} {escape(str(at))} {escape(name)}</code>"

    async def _write(self) -> BytesIO:
        """The file, made in a thread: the coordinator may take its time."""
        try:
            return await asyncio.to_thread(self._file)
        except FLBaseError as error:
            said = str(error)
            in_session(lambda: self._page.toast(said, "error"), None)
            raise

    def _file(self) -> BytesIO:
        page, checkpoint, which = self._page, self._checkpoint, self._which
        assert checkpoint is not None, "the button is disabled without one"
        run = page.run_id or page.run
        with tempfile.TemporaryDirectory(prefix="flnb-export-") as folder:

            def order(there: Connection) -> Path:
                target = Path(folder) / "model.safetensors"
                found = there.attach(run).checkpoint(which)
                if found.sha256 != checkpoint.sha256:
                    raise RoundStateError(
                        f"{which} is round {found.round} of {found.name} by now, round "
                        f"{checkpoint.round} of {checkpoint.name} is shown",
                        hint="look at it again, then export it",
                    )
                return found.export(target)

            return BytesIO(page.orders.give(page.person, order).read_bytes())
