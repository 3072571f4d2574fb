"""Pages while things happen: rounds close, coordinators die, people press buttons, panes break."""

import re
import time
from datetime import timedelta

import pytest

import flnb
from flnb.coordinator.granting import written_token
from flnb.dashboards import words
from tests.ui.coordinating import ODD_NAMES
from tests.ui.places import Pages, coordinating

pytestmark = [pytest.mark.ui, pytest.mark.timeout(300)]

SOON_S, NEWS_S = 2.0, 10.0
ENDLESS = "SELECT sum(a.range * b.range) FROM range(10000000) a, range(10000000) b"
SCROLLED = """() => { const found = [], look = (root) => { for (const one of root.querySelectorAll("*")) {
  found.push(one.scrollTop); if (one.shadowRoot) look(one.shadowRoot) } }; look(document); return found }"""


@pytest.fixture(scope="module")
def mortal(tmp_path_factory):
    """Pages of a lab whose coordinator may be killed."""
    lab = tmp_path_factory.mktemp("mortal") / "lab"
    coordinator = coordinating(lab)
    with Pages(lab) as pages:
        pages.lab, pages.coordinator = lab, coordinator
        yield pages
    pages.coordinator.end()


def shown_round(page):
    return int(re.match(r"[\d,]+", page.locator(".kpi dd").first.inner_text())[0])


def wait_for_round(page, number, within_s=60.0):
    patience = time.monotonic() + within_s
    while shown_round(page) < number:
        assert time.monotonic() < patience, f"round {number} is not shown"
        page.wait_for_timeout(20)


def token_of(lab, name, role):
    store = flnb.open(lab).store
    token, _ = written_token(store, name, role, timedelta(hours=1))
    store.close()
    return token


def test_a_round_is_shown_soon_after_its_commit(visit, present):
    page, state = visit(present, "rounds?run=running"), flnb.open(present.lab).store.state
    run, late = state.run("running").id, []
    for _ in range(6):
        number = shown_round(page) + 1
        wait_for_round(page, number)
        seen_at = time.time()
        closing = state.closing(run, shown_round(page))
        late.append(seen_at - closing.closed_at.timestamp())
    state.close()
    assert sorted(late)[-2] <= SOON_S, late


def test_what_is_heard_while_a_browser_loads_is_shown(visit, present):
    page = visit(present, "rounds?run=running")
    wait_for_round(page, 9)
    for at, against in ((9, 3), (8, 2), (7, 4), (6, 1)):
        page.goto(f"{present.address}checkpoints?run=running&at={at}&against={against}")
        page.get_by_text(f"{at} of running").wait_for()
        for label, chosen in (("Checkpoint", at), ("Compare with", against)):
            box = page.get_by_role("combobox", name=label)
            box.filter(has_text=re.compile(f"^{chosen}$")).wait_for()
    assert page.complaints == []


def test_new_rounds_leave_scroll_and_zoom_alone(visit, present):
    page = visit(present, "rounds?run=running", viewport={"width": 1440, "height": 600})
    wait_for_round(page, 4)
    ranges = """() => { const one = Bokeh.documents[0]._all_models
      const plot = [...one.values()].find((m) => m.type === "Figure"); return [plot.x_range.start, plot.x_range.end] }"""
    box = page.locator(".bk-Canvas, canvas").first.bounding_box()
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(*middle)
    page.mouse.down()
    page.mouse.move(middle[0] - 120, middle[1], steps=4)
    page.mouse.up()
    page.mouse.move(720, 120)
    page.mouse.wheel(0, 150)
    page.wait_for_function(f"Math.max(...({SCROLLED})()) > 0")
    zoomed, place = page.evaluate(ranges), page.evaluate(SCROLLED)
    wait_for_round(page, shown_round(page) + 3)
    assert page.evaluate(ranges) == zoomed
    assert max(page.evaluate(SCROLLED)) == max(place)


def test_a_hidden_tab_rests_and_shows_how_things_stand_when_somebody_looks(visit, present):
    page, other = (visit(present, "rounds?run=running") for _ in range(2))
    wait_for_round(page, 1)
    turn = """(hidden) => { Object.defineProperty(document, "hidden", { value: hidden, configurable: true })
      document.dispatchEvent(new Event("visibilitychange")) }"""
    page.evaluate(turn, True)
    wait_for_round(other, shown_round(other) + 2)  # whatever was on its way has come
    before = shown_round(page)
    wait_for_round(other, before + 3)
    assert shown_round(page) == before
    page.evaluate(turn, False)
    wait_for_round(page, before + 3, within_s=NEWS_S)


def test_a_killed_coordinator_is_said_and_its_return_needs_no_reload(visit, mortal):
    page = visit(mortal, "rounds?run=running")
    wait_for_round(page, 2)
    page.evaluate("window.never_reloaded = true")
    mortal.coordinator.kill()
    killed = time.monotonic()
    page.get_by_text("Read from the store").wait_for()
    assert time.monotonic() - killed <= NEWS_S
    page.get_by_text("interrupted").first.wait_for()
    before = shown_round(page)
    mortal.coordinator = coordinating(mortal.lab)
    page.get_by_text("Read from the store").wait_for(state="hidden")
    wait_for_round(page, before + 2)
    assert page.evaluate("window.never_reloaded")
    assert page.complaints == []


def test_a_pause_in_one_tab_shows_in_the_other(visit, mortal):
    one, other = (visit(mortal, "rounds?run=running") for _ in range(2))
    wait_for_round(one, 1)
    one.get_by_role("button", name="Pause after this round").click()
    one.locator(".head .status", has_text="paused").wait_for()
    shown = time.monotonic()
    other.locator(".head .status", has_text="paused").wait_for()
    assert time.monotonic() - shown <= SOON_S
    other.get_by_role("button", name="Resume").click()
    one.locator(".head .status", has_text="running").wait_for()


def test_a_viewer_is_told_what_role_is_needed(visit, present):
    vera = token_of(present.lab, "vera", "viewer")
    page = visit(present, "rounds?run=running", person=vera)
    page.get_by_text("You are viewer; operators steer runs.").wait_for()
    for name in ("Pause after this round", "Resume", "Branch from here…", "Stop…"):
        assert page.get_by_role("button", name=name).is_disabled()
    page.goto(f"{present.address}system")
    page.get_by_text("The operations log is for operators.").wait_for()
    page.get_by_text("The list of tokens is for admins.").wait_for()


def test_a_token_that_is_taken_back_ends_an_open_page(visit, present):
    page = visit(present, "rounds?run=running", person=token_of(present.lab, "mal", "viewer"))
    wait_for_round(page, 1)
    lab = flnb.open(present.lab)
    lab.store.state.revoke_tokens("mal")
    lab.store.close()
    page.get_by_text("You are signed out.").wait_for()
    page.goto(f"{present.address}rounds")
    page.get_by_role("heading", name="Sign in to flnb").wait_for()


def test_names_of_clients_are_shown_as_text(visit, past):
    page = visit(past, "sql?q=SELECT%20DISTINCT%20client%20FROM%20assignments")
    for name in ODD_NAMES:
        page.locator("td", has_text=name).first.wait_for()
    assert page.complaints == []
    wide = "document.querySelector('.bk-root, body').scrollWidth"
    assert page.evaluate(wide) <= 1440


def test_numbers_on_the_page_are_those_of_the_run(visit, past):
    lab = flnb.open(past.lab)
    metrics = lab.run("finished").metrics.df()
    central = metrics[(metrics["scope"] == "central") & (metrics["metric"] == "accuracy")]
    page = visit(past, "rounds?run=finished")
    figures = page.locator(".kpi dd").all_inner_texts()
    assert figures[0].split()[0] == str(central["round"].max())
    assert figures[1].split()[0] == words.number(central["value"].iloc[-1])
    page.goto(f"{past.address}sql?q=SELECT%20sum(bytes_up)%20AS%20b%20FROM%20rounds")
    answer = lab.sql("SELECT sum(bytes_up) AS b FROM rounds").df()["b"][0]
    page.locator("td", has_text=re.compile(str(int(answer))[:4])).wait_for()
    lab.store.close()


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("DROP TABLE rounds", "SELECT"),
        ("SELECT * FROM read_text('/etc/passwd')", "Not answered"),
        ("SELECT DATE 'infinity' AS day", "CAST"),
        (ENDLESS, "longer than 5 s"),
    ],
)
def test_what_is_no_question_is_refused_in_words(visit, past, query, said):
    page = visit(past, "sql")
    page.get_by_label("One SELECT").fill(query)
    page.get_by_label("One SELECT").blur()
    page.get_by_role("button", name="Run query").click()
    refused = page.get_by_role("alert")
    refused.wait_for()
    assert said in refused.inner_text()
    assert "root:" not in page.content()


def test_a_pane_that_breaks_leaves_its_neighbours(visit, past):
    with Pages(past.lab, module="tests.ui.broken_pages") as pages:
        page = visit(pages, "rounds?run=finished")
        page.get_by_text("cannot be shown").wait_for()
        card = page.get_by_role("alert").inner_text()
        assert "ZeroDivisionError: a pane that cannot be drawn <b>" in card
        number = re.search(r"Error (\w{8})", card)[1]
        assert f"error {number}" in pages.log.read_text()
        page.get_by_role("button", name="Retry").wait_for()  # a widget, drawn after the card
        assert page.locator(".kpi dd").first.inner_text().startswith("12")
        assert page.complaints == []


def test_a_server_of_pages_that_is_gone_is_said_by_a_toast(visit, past):
    pages = Pages(past.lab)
    page = visit(pages, "")
    page.locator("td").first.wait_for()
    pages.kill()
    page.get_by_text("connection lost").first.wait_for(timeout=90_000)


def test_an_address_with_a_run_that_is_not_there_says_so(visit, past):
    page = visit(past, "rounds?run=nobody")
    page.get_by_text("There is no run “nobody” in this lab.").wait_for()
    label = page.locator("label", has_text="Run")
    label.wait_for()
    middles = "(one) => [one, one.parentElement].map((part) => { const box = part.getBoundingClientRect(); return box.y + box.height / 2 })"
    within, around = label.evaluate(middles)
    assert within == pytest.approx(around, abs=2)
    assert page.complaints == []
