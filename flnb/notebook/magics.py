"""`%%flsql` and `%fl`: shorter ways to say what Python says too.

They ask the lab that was opened last.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import Magics, cell_magic, line_magic, magics_class

from flnb.core.errors import FLBaseError, did_you_mean


@magics_class
class FlnbMagics(Magics):
    """Magics over the lab that was opened last."""

    @cell_magic
    def flsql(self, line: str, cell: str) -> pd.DataFrame:
        """Ask the lab with one SELECT: `%%flsql` shows the answer, `%%flsql name` keeps it too.

        The same as `name = lab.sql("…").df()`.
        """
        name = line.strip()
        if name and not name.isidentifier():
            raise UsageError(f"%%flsql takes one name for the answer, got {name!r}")
        answer: pd.DataFrame = _spoken(lambda: _lab().sql(cell).df())
        if name and self.shell is not None:
            self.shell.user_ns[name] = answer
        return answer

    @line_magic
    def fl(self, line: str) -> Any:
        """Show how things stand: `%fl status` is the lab's runs."""
        command = line.strip() or "status"
        if command != "status":
            raise UsageError(f"%fl has no command {command!r}; {did_you_mean(command, ['status'])}")
        return _spoken(lambda: _lab().runs())


def load(shell: InteractiveShell) -> None:
    """Make the magics known to a shell; what `%load_ext flnb` calls."""
    shell.register_magics(FlnbMagics)


def _lab() -> Any:
    from flnb.coordinator.start import last_opened  # a lab is only needed when one is asked

    return last_opened()


def _spoken(ask: Callable[[], Any]) -> Any:
    """Say an error that flnb raised on purpose in its own words, without a traceback."""
    try:
        return ask()
    except FLBaseError as error:
        raise UsageError(str(error)) from error
