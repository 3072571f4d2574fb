"""Where executed notebooks and their pages lie: in the lab, a folder a cell.

    LAB/studies/NAME/KEY/recipe.ipynb     what was executed
                        /notebook.ipynb   what came out
                        /notebook.html    the same as a page
                        /log.txt          what its kernel wrote outside of cells
                        /result.json      how it ended, for a runner that was not there

Of a shared lab these are made in this machine's working folder, and copied beside the history.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path

from flnb.core.errors import FLBaseError
from flnb.experiments.jobs import RESULT, Result
from flnb.store import LabStore, copy_file

log = logging.getLogger(__name__)


class Artefacts:
    """Files of a study.

    Args:
        store: Of the lab.
        study: Whose.
    """

    def __init__(self, store: LabStore, study: str) -> None:
        self._store = store
        self._folder = store.path / "studies" / study

    @property
    def log(self) -> Path:
        """What workers write when they execute nothing."""
        return self._folder / "workers.log"

    def folder(self, key: str) -> Path:
        """Of a cell, on this machine."""
        return self._folder / key

    def fresh(self, key: str) -> Path:
        """The folder of a cell that is about to be executed: no result lies there."""
        folder = self.folder(key)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / RESULT).unlink(missing_ok=True)
        return folder

    def result(self, key: str) -> Result | None:
        """How a cell ended whose runner was not there any more."""
        try:
            return Result.of(json.loads((self.folder(key) / RESULT).read_text(encoding="utf-8")))
        except (OSError, ValueError, KeyError):
            return None

    def publish(self, file: str) -> str:
        """Put a file where everybody who reads the lab finds it.

        Args:
            file: On this machine.

        Returns:
            Where it lies then: within the lab, as a name relative to it (`studies/…`).
        """
        path = Path(file)
        if not path.is_file():
            return ""
        name = path.relative_to(self._store.path).as_posix()
        target = self._store.place.below(name)
        if target.folder != path:
            try:
                copy_file(path, target)
            except FLBaseError as error:
                log.warning("%s stays on this machine: %s", name, error)
        return name
