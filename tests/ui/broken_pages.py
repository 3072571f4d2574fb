"""A server of pages one pane of which raises: as `python -m flnb.dashboards`, otherwise."""

import sys

from flnb.dashboards.__main__ import main
from flnb.dashboards.pages.rounds import Rounds


def broken(_):
    raise ZeroDivisionError("a pane that cannot be drawn <b>")


if __name__ == "__main__":
    Rounds._fill_events = broken
    sys.exit(main())
