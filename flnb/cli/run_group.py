"""`flnb run PLAN.YAML`, and the commands that go by the same word: `flnb run branch | rollback …`."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

PLAN = "plan"
"""Name of the command that need not be named."""


class RunGroup(TyperGroup):
    """Takes what is no command of the group for a run file, or an option of the run."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the name of the command in that was left out."""
        if not args or not (args[0] in self.commands or self._is_mistyped(args[0])):
            args = [PLAN, *args]
        return super().parse_args(ctx, args)

    def _is_mistyped(self, word: str) -> bool:
        """Whether a word was meant to be a command: that is said with the nearest of them."""
        if word.startswith("-") or "." in word or Path(word).exists():
            return False  # an option, or a file that is there or was meant to be
        return bool(difflib.get_close_matches(word, self.commands))


class PlanCommand(TyperCommand):
    """Is called without its name, and shown so."""

    def format_usage(self, ctx: Any, formatter: Any) -> None:
        """Write the usage line."""
        pieces = self.collect_usage_pieces(ctx)
        formatter.write_usage(ctx.parent.command_path, " ".join(pieces))


app = typer.Typer(cls=RunGroup, help="Run a plan; fork a run, or take it back.")
