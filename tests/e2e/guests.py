"""Guests of a lab, each a process of its own that executes the recipe of `guest_subject.py`."""

import json
from pathlib import Path

from tests.e2e.victims import await_

SCRIPT = Path(__file__).parent / "guest_subject.py"


class Guests:
    """Begins guests, and ends them all when a test is over.

    Args:
        nursery: Where processes come from.
        folder: Where they say how they ended.
    """

    def __init__(self, nursery, folder):
        self._nursery, self._folder, self._born = nursery, folder, []

    def begin(self, lab, cell, out, *, failpoint="", **options):
        """Start one in a cell of a study, or `holder`; `out` names what `told` waits for."""
        settings = [f"{name}={value}" for name, value in options.items()]
        arguments = (lab, cell, self._folder / f"{out}.json", *settings)
        self._born.append(self._nursery.begin("script", SCRIPT, *arguments, failpoint=failpoint))
        return self._born[-1]

    def told(self, out):
        """What a guest says at its end."""
        file = self._folder / f"{out}.json"
        await_(file.exists, f"{out} did not come to its end")
        return json.loads(file.read_text())

    def end(self):
        for victim in self._born:
            victim.kill()
