"""What people with a large type, a narrow window or a small machine meet: zoom, cut text, budgets."""

import pytest

from benchmarks.pages_many import written
from benchmarks.pages_server import server
from tests.ui.places import Pages
from tests.ui.test_looks import PAGES

pytestmark = [pytest.mark.ui, pytest.mark.timeout(300)]

DEEP = """(wanted) => { const found = [], look = (root) => { for (const one of root.querySelectorAll("*")) {
  if (one.shadowRoot) look(one.shadowRoot)
  if (one.matches(wanted) && one.checkVisibility({visibilityProperty: true})) found.push(one) } }
  look(document); return found }"""
CUT = f"""() => ({DEEP})(".kpi dt, .kpi dd, button, .chip").filter((one) => one.scrollWidth > one.clientWidth + 1 &&
  one.clientWidth > 0).map((one) => one.outerHTML.slice(0, 120))"""
OUTSIDE = f"""() => ({DEEP})("button, input, h1, .kpi").filter((one) => {{ const box = one.getBoundingClientRect()
  return box.width > 1 && (box.left < 0 || box.right > innerWidth + 1) }}).map((one) => one.outerHTML.slice(0, 120))"""
HEAP_MB, ROWS, FIRST_MB, STREAM_KB = 80, 25, 0.42, 20


@pytest.mark.parametrize("path", PAGES)
def test_at_twice_the_size_everything_can_be_reached(visit, past, path):
    page = visit(past, path, viewport={"width": 720, "height": 450}, device_scale_factor=2)
    page.wait_for_timeout(1000)
    assert page.evaluate(OUTSIDE) == []
    for button in page.get_by_role("button").all():
        if button.is_visible() and button.is_enabled():
            button.click(trial=True)


@pytest.mark.parametrize("path", PAGES)
def test_on_a_phone_no_control_stands_beside_the_window(visit, past, path):
    page = visit(past, path, viewport={"width": 390, "height": 844})
    page.wait_for_timeout(1000)
    assert page.evaluate(OUTSIDE) == []


@pytest.mark.parametrize("path", PAGES)
def test_no_figure_and_no_button_is_cut_off(visit, past, path):
    page = visit(past, path)
    for width in (390, 768, 1440):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_timeout(300)  # the layout follows the window by an observer
        assert page.evaluate(CUT) == [], width


@pytest.fixture(scope="module")
def crowd(tmp_path_factory):
    """Pages of a run with a thousand clients."""
    lab = tmp_path_factory.mktemp("crowd") / "lab"
    written(lab, 300, 1000)
    with Pages(lab) as pages:
        yield pages


@pytest.mark.parametrize("path", ["rounds?run=busy", "clients?run=busy", "compare?runs=busy"])
def test_a_thousand_clients_fill_no_browser(visit, crowd, path):
    page = visit(crowd, path)
    page.wait_for_timeout(2000)
    rows = page.evaluate(f"({DEEP})('.tabulator-row, tbody tr').length")
    assert rows <= ROWS + 50  # the events of a run are 40 rows in a frame that scrolls
    heap = page.context.new_cdp_session(page).send("Runtime.getHeapUsage")["usedSize"]
    assert heap <= HEAP_MB * 1e6
    assert page.complaints == []


def test_a_thousand_clients_are_found_sorted_and_turned(visit, crowd):
    page = visit(crowd, "clients?run=busy")
    page.get_by_text("1–25 of 945").wait_for()
    page.get_by_role("button", name="Next").click()
    page.get_by_text("26–50 of 945").wait_for()
    page.get_by_label("Find clients").fill("c012")
    page.get_by_label("Find clients").press("Enter")
    page.get_by_text("1–10 of 10").wait_for()
    names = page.locator("td.name a").all_inner_texts()
    assert names == sorted(names)
    assert all(name.startswith("c012") for name in names)
    page.goto(f"{crowd.address}clients?run=busy&sort=-accepted")
    page.locator("td.name a").nth(24).wait_for()
    counts = [int(text) for text in page.locator("tbody tr td:nth-child(3)").all_inner_texts()]
    assert counts == sorted(counts, reverse=True)


def test_a_page_is_small_and_says_only_what_is_new(present):
    with server(present.lab) as pages:
        path = "rounds?run=running"
        first = pages.sessions.ask(do="open", count=2, path=path)["first_bytes"]
        pages.sessions.ask(do="open", count=1, path="clients?run=running")
        before = pages.sessions.ask(do="watch", seconds=3.0)
        told = pages.sessions.ask(do="watch", seconds=8.0)
        assert first <= FIRST_MB * 1e6
        assert before["alive"] == told["alive"] == 3
        assert max(told["bytes"]) / 8 <= STREAM_KB * 1e3 * 3  # rounds come at two or three a second
