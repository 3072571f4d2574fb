"""Fifty open pages beside a run that closes a round a second: how late, how many bytes, how much processor.

Against `flnb coordinator serve`. Late is from the moment that a round's closing names, before its
commit, to the change of the document in a browser that looks meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np

from benchmarks.pages_browser import browser, late_s, visit
from benchmarks.pages_server import PATH, server
from benchmarks.rows import Row
from benchmarks.service_federation import federation

SESSIONS, SECONDS = 50, 30.0
_OPENED_S, _PAUSE_S = 300.0, 0.9
"""The rest of a second is the round's own."""


def rows(sessions: int = SESSIONS, seconds: float = SECONDS) -> Iterator[Row]:
    """Open them all, then look for a while."""
    with (
        federation(1, pause_s=_PAUSE_S, commit_every=1) as busy,
        server(busy.lab) as pages,
        browser() as chromium,
        visit(chromium, pages) as page,
    ):
        pages.sessions.say(do="open", count=sessions, path=PATH)
        first = pages.sessions.hear(_OPENED_S)
        time.sleep(3.0)
        pages.sessions.ask(do="count")
        before_s, began_s = pages.processor_s(), time.perf_counter()
        late = late_s(page, busy.lab, seconds)
        counted = pages.sessions.ask(do="count")
        took_s, used_s = time.perf_counter() - began_s, pages.processor_s() - before_s
    name = f"{sessions} open pages, a round a second"
    yield Row.of(
        "round on a page after its closing: p95", [np.percentile(late, 95)], "s", bar="<= 1"
    )
    yield Row.of("round on a page after its closing", late, "s")
    yield Row.of(f"{name}: rounds that were seen", [len(late) / took_s], "/s")
    yield Row.of(f"{name}: processor", [100 * used_s / took_s], "% of a core", bar="<= 40")
    stream = [one / took_s / 1000 for one in counted["bytes"]]
    yield Row.of(f"{name}: stream of each", stream, "kB/s", bar="<= 20")
    yield Row.of(f"{name}: still told", [counted["alive"]], "", bar=f">= {sessions}")
    yield Row.of("first answer over a socket", [first["first_bytes"] / 1e6], "MB", bar="<= 0.4")
    yield Row.of(f"{sessions} pages opened at once", [first["seconds"]], "s")
