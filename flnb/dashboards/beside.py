"""Servers of pages in threads of this process: one for what a notebook holds, while somebody looks at it."""

from __future__ import annotations

import asyncio
import atexit
import threading
from collections.abc import Callable, Hashable, Mapping
from urllib.parse import urlencode

import panel as pn
from bokeh.settings import settings

from flnb.core.clock import SYSTEM_CLOCK
from flnb.dashboards.serving import Pages

_UNUSED_S = 1800.0
"""Once no page has been open for so long, a server ends; a cell that is run again starts another."""
_CHECK_S = 30.0

_SERVING: dict[Hashable, _Beside] = {}
_LOCK = threading.Lock()


def link(held: Hashable, make: Callable[[], Pages], path: str, state: Mapping[str, str]) -> str:
    """An address that signs a browser in, once.

    Args:
        held: What is shown; the same is shown by one server.
        make: Makes its pages, if nobody serves them.
        path: Of the page.
        state: As its address says.
    """
    with _LOCK:
        if held not in _SERVING:
            _SERVING[held] = _Beside(held, make)
        return _SERVING[held].link(path, state)


class _Beside:
    """A server of pages in a thread of this process.

    Args:
        held: What it shows.
        make: Makes the pages.
    """

    def __init__(self, held: Hashable, make: Callable[[], Pages]) -> None:
        settings.resources = "server"  # nothing from outside
        pn.config.param.update(notifications=True, reconnect=True, throttled=True)
        self._held, self._pages = held, make()
        self._used_s = SYSTEM_CLOCK.monotonic_s()
        self._ready = threading.Event()
        self.thread = threading.Thread(target=self._serve, name="flnb-pages", daemon=True)
        self.thread.start()
        self._ready.wait()
        atexit.register(self._end)  # an interpreter that ends while DuckDB answers a thread aborts

    def _serve(self) -> None:
        asyncio.set_event_loop(asyncio.new_event_loop())
        self.address = self._pages.start(prepared=True)
        self._pages.loop.call_later(_CHECK_S, self._check)
        self._ready.set()
        self._pages.serve()

    def _end(self) -> None:
        """End with this process."""
        if self.thread.is_alive():
            self._pages.loop.add_callback(self._pages.stop)
            self.thread.join(10)

    def _check(self) -> None:
        """End if nobody has looked for long; on the loop, again and again."""
        now_s = SYSTEM_CLOCK.monotonic_s()
        with _LOCK:
            if self._pages.n_open:
                self._used_s = now_s
            if now_s - self._used_s >= _UNUSED_S:
                _SERVING.pop(self._held, None)
                atexit.unregister(self._end)
                self._pages.stop()
                return
        self._pages.loop.call_later(_CHECK_S, self._check)

    def link(self, path: str, state: Mapping[str, str]) -> str:
        """An address that signs a browser in, once."""
        self._used_s = SYSTEM_CLOCK.monotonic_s()
        shown = f"{path}?{urlencode(state)}" if state else path
        told = {"ticket": self._pages.doorman.ticket(), "next": f"/{shown}"}
        return f"{self.address}sign-in?{urlencode(told)}"
