"""Every page in every state: no complaint, nothing from outside, names, order, width, colours."""

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.ui.test_live import shown_round, wait_for_round

pytestmark = [pytest.mark.ui, pytest.mark.timeout(300)]

PAGES = {
    "": "Overview",
    "rounds?run=finished": "Rounds",
    "rounds?run=failed": "Rounds",
    "sql?q=SELECT%20round%2C%20accepted%20FROM%20rounds": "SQL",
    "system": "System",
    "clients?run=finished": "Clients",
    "client?run=finished&name=c-plain": "Client",
    "checkpoints?run=finished&at=6&against=2": "Checkpoints",
    "compare?runs=finished,failed": "Compare",
    "studies?study=alpha": "Studies",
}
EMPTY = ("", "rounds", "clients", "client", "checkpoints", "compare", "studies", "sql", "system")
RUNNING = {
    "": "", "rounds": "run=running", "clients": "run=running", "client": "run=running&name=c-plain",
    "checkpoints": "run=running", "compare": "runs=running", "sql": "q=SELECT%201", "system": "",
}  # fmt: skip
RULES = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa"]}}
UNNAMED = """() => {
  const found = [], look = (root) => {
    for (const one of root.querySelectorAll("*")) {
      if (one.shadowRoot) look(one.shadowRoot)
      const asks = one.matches("button, a[href], input:not([type=hidden]), textarea, select")
      if (!asks || one.closest("[aria-hidden=true]") || one.getAttribute("aria-hidden") === "true") continue
      const label = one.getAttribute("aria-label") || one.title || one.placeholder || one.textContent.trim()
      const labelled = one.labels && [...one.labels].some((label) => label.textContent.trim())
      if (!label && !labelled && !one.getAttribute("aria-labelledby")) found.push(one.outerHTML.slice(0, 120))
    }
  }
  look(document)
  return found
}"""
CONTROLS = """() => { const found = [], look = (root) => { for (const one of root.querySelectorAll("*")) {
  if (one.shadowRoot) look(one.shadowRoot)
  if (!one.matches("button, a[href], input, textarea, select, summary, [tabindex]") || one.tabIndex < 0 || one.disabled) continue
  if (one.checkVisibility({visibilityProperty: true}) && !one.closest("[aria-hidden=true]")) found.push(one) } }
  look(document); window.controls = found; return found.map((one) => one.outerHTML.slice(0, 120)) }"""
FOCUSED = """() => {
  let one = document.activeElement
  while (one && one.shadowRoot && one.shadowRoot.activeElement) one = one.shadowRoot.activeElement
  const style = getComputedStyle(one)
  return [window.controls.indexOf(one), style.outlineStyle !== "none" || style.boxShadow !== "none" || one.matches(":focus-visible")]
}"""
DARK = "document.documentElement.dataset.theme === 'dark'"


def violations(page):
    found = Axe().run(page, options=RULES).response["violations"]
    return [(one["id"], node["html"][:160]) for one in found for node in one["nodes"]]


@pytest.mark.parametrize("path", PAGES)
def test_a_page_of_the_past_is_quiet_named_and_accessible(visit, past, path):
    page = visit(past, path)
    page.wait_for_timeout(1500)  # a late complaint would be one, too
    assert (page.complaints, page.outside) == ([], [])
    assert page.locator("h1").all_inner_texts() == [PAGES[path]]
    assert page.title().endswith(f"{PAGES[path]} · lab · flnb")
    assert violations(page) == []
    assert page.evaluate(UNNAMED) == []
    page.emulate_media(color_scheme="dark")
    page.wait_for_function(DARK)
    page.wait_for_timeout(500)  # colours follow from Python
    assert violations(page) == []


@pytest.mark.parametrize("path", EMPTY)
def test_a_page_of_an_empty_lab_says_what_fills_it(visit, empty, path):
    page = visit(empty, path)
    if path in {"", "rounds"}:
        page.get_by_text("Start one:").wait_for()
    assert (page.complaints, page.outside) == ([], [])
    assert violations(page) == []


@pytest.mark.parametrize("path", RUNNING)
def test_a_page_of_a_run_that_goes_on_is_quiet_and_accessible(visit, present, path):
    page = visit(present, f"{path}?{RUNNING[path]}")
    if path == "rounds":
        wait_for_round(page, shown_round(page) + 3)
    page.wait_for_timeout(1500)  # a late complaint would be one, too
    assert (page.complaints, page.outside) == ([], [])
    assert violations(page) == []


@pytest.mark.parametrize("path", PAGES)
def test_no_page_scrolls_sideways(visit, past, path):
    page = visit(past, path)
    for width in (390, 768, 1440, 2560):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_timeout(150)  # the layout follows the window by an observer
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), width
        assert page.evaluate("document.querySelector('.bk-root, body').scrollWidth <= innerWidth")


@pytest.mark.parametrize("path", PAGES)
def test_tab_reaches_every_control_and_shows_where_it_is(visit, past, path):
    page = visit(past, path)
    page.wait_for_timeout(1500)  # widgets are drawn after the text
    controls, reached, unseen = page.evaluate(CONTROLS), set(), []
    for _ in range(len(controls) + 20):  # frames that scroll are stops, too
        page.keyboard.press("Tab")
        at, seen = page.evaluate(FOCUSED)
        reached.add(at)
        if at >= 0 and not seen:
            unseen.append(controls[at])
    assert [one for at, one in enumerate(controls) if at not in reached] == []
    assert unseen == []


def test_dark_follows_the_system_and_a_choice_is_kept(visit, past):
    ground = "getComputedStyle(document.body).backgroundColor"
    page = visit(past, "", color_scheme="dark")
    page.wait_for_function(f"{ground} !== 'rgb(255, 255, 255)'")
    assert (
        page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
        == "rgb(22, 27, 34)"
    )  # charts have no ground of their own
    page.emulate_media(color_scheme="light")
    page.wait_for_function(f"{ground} === 'rgb(255, 255, 255)'")
    page.get_by_role("button", name="Toggle theme").click()
    page.wait_for_function(f"{ground} !== 'rgb(255, 255, 255)'")
    page.reload()
    page.locator("h1").wait_for()
    page.wait_for_function(f"{ground} !== 'rgb(255, 255, 255)'")


def test_nothing_moves_for_whoever_asks_for_that(visit, past):
    page = visit(past, "rounds?run=finished")
    moving = "document.getAnimations({subtree: true}).filter(a => a.playState === 'running').length"
    page.wait_for_function(f"{moving} === 0")


def test_back_shows_what_was_there_before(visit, past):
    page = visit(past, "")
    page.locator("td").get_by_role("link", name="failed", exact=True).click()
    page.wait_for_url("**/rounds?run=failed*")
    page.get_by_text("the loss is not finite").first.wait_for()
    page.go_back()
    page.get_by_role("heading", name="Overview").wait_for()
