"""A real browser that looks at pages, for whoever measures them."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

import flnb
from benchmarks.pages_server import PATH, Server
from benchmarks.timing import seconds

FOUND_MS = 60_000.0
_WATCH = """(figures) => {
  const root = figures.getRootNode(); window.seen = []
  const look = () => {
    const round = parseInt(root.querySelector(".kpi dd").textContent.replaceAll(",", ""))
    if (round !== window.seen.at(-1)?.[0]) window.seen.push([round, Date.now()])
  }
  new MutationObserver(look).observe(root, {subtree: true, childList: true, characterData: true})
}"""


@contextlib.contextmanager
def browser() -> Iterator[Browser]:
    """Chromium without a window."""
    found = os.environ.get("FLNB_CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield launched
        launched.close()


@contextlib.contextmanager
def visit(browser: Browser, server: Server, path: str = PATH) -> Iterator[Page]:
    """A page in a browser that has nothing of it yet, when its figures are to be seen."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    cookie: Any = server.cookie
    context.add_cookies([cookie])
    page = context.new_page()
    page.set_default_timeout(FOUND_MS)
    page.goto(f"{server.address}{path}")
    page.locator(".kpi dd, td").first.wait_for()
    yield page
    context.close()


def first_content_s(browser: Browser, server: Server, path: str) -> float:
    """From the call for a page to its figures and, where it has one, its chart."""
    shown = contextlib.ExitStack()

    def show() -> None:
        page = shown.enter_context(visit(browser, server, path))
        if path.startswith("rounds"):
            page.locator("canvas").first.wait_for()

    with shown:
        return seconds(show)


def late_s(page: Page, lab: Path, wait_s: float) -> list[float]:
    """How long after its closing, whose commit comes after it, each round was on the page."""
    page.locator(".kpis").evaluate(_WATCH)
    time.sleep(wait_s)
    seen: list[list[int]] = page.evaluate("window.seen")
    state = flnb.open(lab).store.state
    run, late = state.run("busy").id, []
    for number, shown_ms in seen:
        closing = state.closing(run, number)
        assert closing is not None, "a page shows no round that is not closed"
        late.append(shown_ms / 1000 - closing.closed_at.timestamp())
    state.close()
    return late
