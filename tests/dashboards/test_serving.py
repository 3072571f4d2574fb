"""The server of pages: what is left of a page that nobody looks at any more."""

import asyncio
import functools
import gc
import re
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor

import httpx
import panel as pn
import pytest
from bokeh.document import Document
from bokeh.util.token import get_token_payload

from flnb.dashboards import serving
from flnb.dashboards.page import loop_of, soon
from flnb.dashboards.serving import Pages, Settings
from flnb.dashboards.shell import Shell
from tests.dashboards.test_feed import until


@pytest.fixture
def pages(target, monkeypatch):
    """Pages that let a session go as soon as nobody is there."""
    monkeypatch.setattr(serving, "_UNUSED_MS", 1)
    monkeypatch.setattr(serving, "_CHECK_MS", 100)
    monkeypatch.setattr(pn.config, "notifications", True)
    made, ready = Pages(target, Settings()), threading.Event()

    def serve():
        asyncio.set_event_loop(asyncio.new_event_loop())
        made.address = made.start(prepared=True)
        ready.set()
        made.serve()

    thread = threading.Thread(target=serve)
    thread.start()
    ready.wait(30)
    yield made
    made.loop.add_callback(made.stop)
    thread.join(30)


@pytest.fixture
def documents(monkeypatch):
    """Of every page that is opened."""
    opened = []

    class Noted(Shell):
        def build(self):
            opened.append(weakref.ref(pn.state.curdoc))
            return super().build()

    monkeypatch.setattr(serving, "Shell", Noted)
    return opened


def test_nothing_is_left_of_pages_that_were_closed(pages, documents):
    with httpx.Client(base_url=pages.address, timeout=60, follow_redirects=True) as browser:
        browser.get(f"/sign-in?ticket={pages.doorman.ticket()}")
        for _ in range(2):
            assert browser.get("/rounds?run=finished").status_code == 200
    until(lambda: not pages.n_open, "their sessions are over")
    until(lambda: not gc.collect() and not any(one() for one in documents), "nothing holds them")
    assert len(documents) == 3


def test_a_page_carries_no_cookie_that_signs_somebody_in(pages):
    with httpx.Client(base_url=pages.address, timeout=60, follow_redirects=True) as browser:
        browser.get(f"/sign-in?ticket={pages.doorman.ticket()}")
        (name,) = browser.cookies
        for one in (f"{name}-state", f"{name}-code", "of-another-server"):
            browser.cookies.set(one, "x")
        page = browser.get("/rounds?run=finished").text
    carried = get_token_payload(re.search(r'"token":"([^"]+)"', page)[1])["cookies"]
    assert list(carried) == ["of-another-server"]


def test_the_loop_of_a_page_is_known_also_in_threads(pages, monkeypatch):
    found = []

    class Asked(Shell):
        def build(self):
            ask = functools.partial(loop_of, pn.state.curdoc)
            with ThreadPoolExecutor(1) as thread:
                found.append((ask(), thread.submit(ask).result()))
            return super().build()

    monkeypatch.setattr(serving, "Shell", Asked)
    with httpx.Client(base_url=pages.address, timeout=60, follow_redirects=True) as browser:
        browser.get(f"/sign-in?ticket={pages.doorman.ticket()}")
    assert found[0] == (pages.loop.asyncio_loop, pages.loop.asyncio_loop)


def test_who_is_told_just_when_his_page_is_closed_breaks_nothing():
    document, told = Document(), []
    document.on_change(told.append)
    loop, broken = asyncio.new_event_loop(), []
    loop.set_exception_handler(lambda _loop, context: broken.append(context))
    soon(loop, document, lambda: None)
    loop.run_until_complete(asyncio.sleep(0))
    document.destroy(told.append)
    soon(loop, document, lambda: None)
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    soon(loop, document, lambda: None)
    assert (len(told), broken) == (1, [])


def test_nothing_that_a_page_is_told_while_it_changes_is_lost():
    """A document that loses what another thread adds while it changes, as Bokeh's does now and then."""
    document, told = Document(), []
    document.on_change(told.append)
    loop = asyncio.new_event_loop()
    document.hold()
    teller = threading.Thread(target=soon, args=(loop, document, lambda: None))
    teller.start()
    teller.join()
    document.callbacks._held_events = []  # `unhold`, after it has copied them
    document.unhold()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    assert len(told) == 1
