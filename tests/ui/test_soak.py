"""Pages that stay open: nothing grows, nobody is forgotten; and pages that are closed leave nothing."""

import os

import numpy as np
import pytest

from benchmarks.pages_browser import late_s
from benchmarks.pages_first import opened_and_closed
from benchmarks.pages_server import PATH, server
from tests.ui.places import coordinating
from tests.ui.test_live import shown_round, wait_for_round

pytestmark = pytest.mark.ui

GROWN_MB, SAMPLES = 100.0, 20
WATCHED_S, BEHIND_S = 10.0, 5.0
"""How late rounds are at the end; a page that cannot keep up is later with each. The bar is the benchmarks'."""
SOAK_S = int(os.environ.get("FLNB_SOAK_S", "1800"))
DRAWN = """() => { const sources = [...Bokeh.documents[0]._all_models.values()].filter((one) => one.type === "ColumnDataSource")
  return [...sources.find((one) => "value" in one.data && one.data.round.length).data.round] }"""
"""The rounds that the curve has."""


@pytest.fixture(scope="module")
def busy(tmp_path_factory):
    """A lab with a run that goes on, a round or two a second."""
    lab = tmp_path_factory.mktemp("busy") / "lab"
    with coordinating(lab, "busy", pause_s=0.05):
        yield lab


@pytest.mark.parametrize(
    ("sessions", "seconds"),
    [
        pytest.param(8, 20, marks=pytest.mark.timeout(300)),
        pytest.param(50, 120, marks=[pytest.mark.long, pytest.mark.timeout(600)]),
        pytest.param(50, SOAK_S, marks=[pytest.mark.long, pytest.mark.timeout(3600)], id="soak"),
    ],
)
def test_open_pages_are_told_to_the_end_and_the_server_stays_flat(visit, busy, sessions, seconds):
    with server(busy) as pages:
        page = visit_by(visit, pages)
        pages.sessions.ask(do="cycle", times=2, path=PATH)
        alone_mb, alone = pages.memory_mb(), pages.process.num_threads()
        open_pages(pages, sessions)
        memory_mb, threads = sampled(page, pages, seconds)
        assert pages.sessions.ask(do="count")["alive"] == sessions
        seen = late_s(page, busy, WATCHED_S)
        assert seen, (page.complaints, standing(page))
        late = np.percentile(seen, [50, 95])
        print(f"rounds shown after {late[0]:.2f} s, p95 {late[1]:.2f} s")
        assert late[1] <= BEHIND_S
        assert memory_mb[-1] - memory_mb[SAMPLES // 4] <= GROWN_MB, memory_mb
        assert threads[-1] <= max(threads[: SAMPLES // 4]), threads
        wait_for_round(page, shown_round(page) + 2)
        assert page.complaints == []
        drawn = page.evaluate(DRAWN)  # none was lost on its way
        assert drawn == list(range(int(drawn[0]), int(drawn[0]) + len(drawn)))
        pages.sessions.ask(do="close")
        left_mb, left = pages.settled()
        print(f"{sessions} left: {left_mb - alone_mb:+.0f} MB, {left - alone:+d} threads")
        assert left <= alone
        open_pages(pages, sessions)  # Python gives little back; what leaked is needed once more
        print(f"{sessions} came again: {pages.memory_mb() - memory_mb[-1]:+.0f} MB")
        assert pages.memory_mb() - memory_mb[-1] <= GROWN_MB


def standing(page):
    """What a page shows, and whether its browser takes it for one that somebody sees."""
    return shown_round(page), page.evaluate("document.visibilityState")


def sampled(page, pages, seconds):
    """Memory in MB, and threads, of so many samples; the page is listened to meanwhile."""
    memory_mb, threads = [], []
    for sample in range(SAMPLES):
        used_s = pages.processor_s()
        page.wait_for_timeout(1000 * seconds / SAMPLES)
        memory_mb.append(pages.memory_mb())
        threads.append(pages.process.num_threads())
        core = (pages.processor_s() - used_s) * SAMPLES / seconds
        print(f"{sample + 1}/{SAMPLES}: {memory_mb[-1]:.0f} MB, {threads[-1]} threads, {core:.0%} of a core; shown {standing(page)}")  # fmt: skip
    return memory_mb, threads


def open_pages(pages, sessions):
    for _ in range(sessions // 2):  # no longer at once than a caller waits for an answer
        pages.sessions.ask(do="open", count=2, path=PATH)


def visit_by(visit, pages):
    """Open a page in a browser that has the cookie already."""
    pages_with = type("Signed", (), {"address": pages.address, "cookies": [pages.cookie]})
    return visit(pages_with, PATH)


@pytest.mark.parametrize(
    "cycles",
    [
        pytest.param(8, marks=pytest.mark.timeout(300)),
        pytest.param(50, marks=[pytest.mark.long, pytest.mark.timeout(900)]),
    ],
)
def test_pages_that_were_opened_and_closed_leave_nothing(busy, cycles):
    memory, threads = opened_and_closed(busy, cycles)
    assert memory.ok
    assert threads.ok
