"""A browser, labs in every state, and a server of pages for each of them."""

import contextlib
import os
import shutil

import pytest
from playwright.sync_api import sync_playwright

from tests.ui.places import Pages, coordinating, make_past

EXECUTABLE = os.environ.get("FLNB_CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
WITHIN_MS = 30_000


@pytest.fixture(scope="session")
def browser():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=EXECUTABLE, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def past(tmp_path_factory):
    """Pages of a lab whose runs rest; nobody holds it."""
    lab = make_past(tmp_path_factory.mktemp("past") / "lab")
    with Pages(lab) as pages:
        pages.lab = lab
        yield pages


@pytest.fixture(scope="session")
def empty(tmp_path_factory):
    """Pages of a lab without a run."""
    import flnb

    folder = tmp_path_factory.mktemp("empty") / "lab"
    flnb.open(folder).store.close()
    with Pages(folder) as pages:
        yield pages


@pytest.fixture(scope="session")
def present(tmp_path_factory):
    """Pages of a lab whose run goes on, about two rounds a second."""
    lab = tmp_path_factory.mktemp("present") / "lab"
    with coordinating(lab) as coordinator, Pages(lab) as pages:
        pages.lab, pages.coordinator = lab, coordinator
        yield pages


@pytest.fixture
def visit(browser, request):
    """Open a page signed in; it collects what the browser complains of."""
    with contextlib.ExitStack() as open_contexts:

        def open_page(pages, path="", *, person=None, **options):
            options = {
                "viewport": {"width": 1440, "height": 900},
                "reduced_motion": "reduce",
            } | options
            context = browser.new_context(**options)
            open_contexts.callback(context.close)
            sign_in(context, pages, person)
            page = context.new_page()
            page.set_default_timeout(WITHIN_MS)
            page.complaints, page.outside = [], []
            listen(page)
            page.goto(f"{pages.address}{path}")
            page.locator("h1").wait_for()
            return page

        yield open_page


def sign_in(context, pages, token=None):
    """Sign a browser in: by the link the first time, then with the cookie that it gave."""
    if token is not None:
        answer = context.request.post(
            f"{pages.address}sign-in",
            form={"token": token, "next": "/"},
            max_redirects=0,
        )
        assert answer.status == 302, answer.text()
        return
    if not hasattr(pages, "cookies"):
        answer = context.request.get(pages.link, max_redirects=0)
        assert answer.status == 302, answer.text()
        pages.cookies = context.cookies()
    context.add_cookies(pages.cookies)


def listen(page):
    def heard(message):
        if message.type == "error":
            page.complaints.append(message.text)

    def asked(request):
        if not request.url.startswith(("http://localhost", "ws://localhost", "data:", "blob:")):
            page.outside.append(request.url)

    page.on("console", heard)
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.on("request", asked)
