"""The process of the pages: `python -m flnb.dashboards TARGET`; `flnb ui` starts it.

Prints one line of JSON with the address, and with the ticket that signs a browser in once; ends
with its standard input when it was started with `--until-eof`.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flnb.dashboards.provider import Provider
    from flnb.dashboards.targets import Target

_NICE = 5
"""Behind whatever trains on this machine: who looks must not slow what is looked at."""


def main() -> int:
    """Serve until SIGINT or SIGTERM."""
    os.nice(_NICE)
    os.environ.setdefault("BOKEH_RESOURCES", "server")  # nothing from outside; read at import
    parser = argparse.ArgumentParser(prog="python -m flnb.dashboards")
    parser.add_argument("target", help="a lab, a pass or its file; - is FLNB_PASS or FLNB_LAB")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--origin", default="")
    parser.add_argument("--prefix", default="")
    parser.add_argument("--people", default="")
    parser.add_argument("--until-eof", action="store_true")
    said = parser.parse_args()
    if said.until_eof:  # ^C in a terminal reaches this process, too; it ends when its pipe does
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(message)s")
    from flnb.core.errors import FLBaseError  # after the resources are settled

    try:
        return _serve(said)
    except FLBaseError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code


def _serve(said: argparse.Namespace) -> int:
    from flnb.dashboards.serving import Pages, Settings
    from flnb.dashboards.targets import target_of

    target = target_of(said.target)
    way_in = _way_in(target, said.people) if said.people else None

    word = os.environ.pop("FLNB_PROXY_WORD", "")
    settings = Settings(said.host, said.port, said.origin, said.prefix.rstrip("/"), word)
    pages = Pages(target, settings, way_in=way_in)
    address = pages.start()
    loop = pages.loop
    ends = (signal.SIGTERM,) if said.until_eof else (signal.SIGINT, signal.SIGTERM)
    for number in ends:
        signal.signal(number, lambda *_: loop.add_callback_from_signal(loop.stop))
    if said.until_eof:
        threading.Thread(target=_stop_at_eof, args=(loop,), daemon=True).start()
    sys.stdout.write(json.dumps({"address": address, "ticket": pages.doorman.ticket()}) + "\n")
    sys.stdout.flush()
    pages.serve()
    return 0


def _way_in(target: Target, people: str) -> Provider:
    """Let people sign in by an OAuth provider, whom a file names.

    Raises:
        PlanError: The lab lies elsewhere, or what is needed is not set.
    """
    from flnb.core.errors import PlanError
    from flnb.dashboards.people import People
    from flnb.dashboards.provider import Provider
    from flnb.dashboards.targets import LabTarget

    if not isinstance(target, LabTarget):
        raise PlanError("--people needs the lab itself: it signs tokens for those who sign in")
    return Provider(People(Path(people)), target.sign)


def _stop_at_eof(loop: object) -> None:
    """Whoever started this process is gone."""
    while os.read(0, 4096):  # past sys.stdin, whose lock would be held when the process ends
        pass
    loop.add_callback(loop.stop)  # type: ignore[attr-defined]  # of tornado


if __name__ == "__main__":
    sys.exit(main())
