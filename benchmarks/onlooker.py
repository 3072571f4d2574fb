"""A process that follows a run of a lab which another one holds, and tells when its head has moved."""

from __future__ import annotations

import sys
import time

import flnb
from benchmarks.processes import tell
from flnb.core.view import RunView


def main(folder: str, name: str) -> None:
    """Follow a run until the standard input ends."""
    run = flnb.open(folder).attach(name)
    shown = [run.view.generation]

    def look(view: RunView) -> None:
        if view.generation > shown[0]:
            shown[0] = view.generation
            tell(at_s=time.monotonic(), generation=view.generation, round=view.round)

    run.on_change(look)
    tell(at_s=time.monotonic(), generation=shown[0], round=run.view.round)
    sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
