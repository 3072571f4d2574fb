"""The terminal face: commands, the live table, one line a round.

Here is how a terminal talks; what it talks about is in `flnb.coordinator` and the shared words are
in `flnb.core.glance`. Read `app.py` first, then `running.py`.
"""

from flnb.cli.app import main

__all__ = ["main"]
