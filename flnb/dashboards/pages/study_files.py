"""Files of a study that a browser can be given: its report, and the executed notebook of a cell."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import panel as pn
import panel_material_ui as pmui

from flnb.core.errors import AccessRefusedError, FLBaseError, NotFoundError
from flnb.dashboards.page import in_session
from flnb.store import labelled, varying

if TYPE_CHECKING:
    from flnb.coordinator import Lab
    from flnb.dashboards.pages.studies import Studies


class StudyFiles:
    """Two buttons, for operators: both may quote single clients.

    A notebook holds whatever its recipe drew. It is downloaded and never shown as a page of this server,
    where its scripts would act as whoever looks.

    Args:
        page: Which study it is about.
    """

    def __init__(self, page: Studies) -> None:
        self._page = page
        self.lab: Lab | None = getattr(page.orders.target, "lab", None)
        """Where the files lie; None where that is not here."""
        style = {"variant": "outlined", "size": "small", "margin": 0, "embed": False}
        self._report = pmui.FileDownload(callback=self._writer(self._make_report), filename="study.html", label="Download the report", **style)  # fmt: skip
        self._cell = pmui.Select(label="Notebook of", options={}, size="small", width=320, margin=0)
        self._notebook = pmui.FileDownload(callback=self._writer(self._read_notebook), filename="notebook.html", label="Download the notebook", **style)  # fmt: skip
        self._cell.param.watch(lambda _: self._name(), "value")
        self.view = pn.FlexBox(self._report, self._cell, self._notebook, gap="16px", align_items="center", margin=(8, 0))  # fmt: skip

    def fill(self) -> None:
        """Offer the cells that have a notebook."""
        chosen = self._page.chosen
        allowed = self._page.person.may("operator")
        cells = chosen.cells if chosen is not None else ()
        names = varying(cells)
        there = {labelled(one, names): one.key for one in cells if one.notebook}
        if dict(self._cell.options) != there:
            self._cell.options = there
            if self._cell.value not in there.values():
                self._cell.value = next(iter(there.values()), None)
        self._report.disabled = not allowed or chosen is None
        self._notebook.disabled = self._cell.disabled = not (allowed and there)
        self._name()

    def _name(self) -> None:
        chosen = self._page.chosen
        if chosen is not None:
            self._report.filename = f"{chosen.name}.html"
            page = self._path().suffix if self._cell.value else ".html"
            self._notebook.filename = f"{chosen.name}-{str(self._cell.value)[:8]}{page}"

    def _writer(self, make: Callable[[], bytes]) -> Callable[[], object]:
        """A file that is made in a thread; what goes wrong is said."""

        async def write() -> BytesIO:
            try:
                self._check()
                return BytesIO(await asyncio.to_thread(make))
            except FLBaseError as error:
                said = str(error)
                in_session(lambda: self._page.toast(said, "error"), None)
                raise

        return write

    def _check(self) -> None:
        """See that whoever asks may have it: what is no browser can press a button that is drawn disabled.

        Raises:
            AccessRefusedError: He is no operator.
        """
        person = self._page.person
        if not person.may("operator"):
            raise AccessRefusedError(
                f"{person.name} is {person.role}; reports and notebooks are for operators",
                hint="an admin of the lab can give that role: flnb token NAME --role operator",
            )

    def _make_report(self) -> bytes:
        from flnb.experiments.report import of_study  # its drawings are made for few

        page = self._page
        assert page.chosen is not None, "the button is disabled without one"
        assert self.lab is not None, "the buttons are not shown without one"
        study = self.lab.study(page.chosen.name)
        facts = of_study.facts_of(study, ask=page.sight.source.ask)
        return of_study.markup(facts).encode()

    def _read_notebook(self) -> bytes:
        path = self._path()
        if not path.is_file():
            raise NotFoundError("notebook on this machine", path.name)
        return path.read_bytes()

    def _path(self) -> Path:
        chosen = self._page.chosen
        assert chosen is not None, "the button is disabled without one"
        cell = next(one for one in chosen.cells if one.key == self._cell.value)
        assert self.lab is not None, "the buttons are not shown without one"
        return self.lab.path / (cell.page or cell.notebook)
