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
EMPTY = ("", "rounds", "sql", "system", "studies")
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
FOCUSED = """() => {
  let one = document.activeElement
  while (one && one.shadowRoot && one.shadowRoot.activeElement) one = one.shadowRoot.activeElement
  if (!one || one === document.body) return null
  const style = getComputedStyle(one), parent = one.parentElement ? getComputedStyle(one.parentElement) : style
  const seen = [style.outlineStyle !== "none", style.boxShadow !== "none", one.matches(":focus-visible")]
  return {text: (one.getAttribute("aria-label") || one.textContent || one.placeholder || one.tagName).trim().slice(0, 40), seen: seen.some(Boolean)}
}"""


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


@pytest.mark.parametrize("path", EMPTY)
def test_a_page_of_an_empty_lab_says_what_fills_it(visit, empty, path):
    page = visit(empty, path)
    if path in {"", "rounds"}:
        page.get_by_text("Start one:").wait_for()
    assert (page.complaints, page.outside) == ([], [])
    assert violations(page) == []


def test_a_page_of_a_run_that_goes_on_is_quiet_and_accessible(visit, present):
    page = visit(present, "rounds?run=running")
    wait_for_round(page, shown_round(page) + 3)
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


def test_tab_reaches_every_control_and_shows_where_it_is(visit, past):
    page, order = visit(past, "sql"), []
    for _ in range(40):
        page.keyboard.press("Tab")
        focused = page.evaluate(FOCUSED)
        if focused is None:
            break
        order.append(focused)
    texts = [one["text"] for one in order]
    assert {"flnb", "Overview", "Rounds", "SQL", "System", "Sign out", "Run query"} <= set(texts)
    assert texts.index("Overview") < texts.index("Sign out") < texts.index("Run query")
    assert [one for one in order if not one["seen"]] == []


def test_dark_follows_the_system_and_a_choice_is_kept(visit, past):
    ground = "getComputedStyle(document.body).backgroundColor"
    page = visit(past, "", color_scheme="dark")
    page.wait_for_function(f"{ground} !== 'rgb(255, 255, 255)'")
    assert violations(page) == []
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
