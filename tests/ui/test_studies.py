"""Studies in a browser, through a pass to a coordinator that runs as a service."""

import contextlib

import pytest

import flnb
from benchmarks.pages_many import served
from flnb.coordinator.granting import grant_by_lab
from tests.ui.places import Ui, make_past
from tests.ui.test_looks import violations

pytestmark = [pytest.mark.ui, pytest.mark.timeout(300)]

DRAWN = """(one) => { const style = getComputedStyle(one)
  return {ground: style.backgroundImage, colour: style.backgroundColor, frame: style.boxShadow} }"""


@pytest.fixture(scope="module")
def afar(tmp_path_factory):
    """Pages by role, as `flnb ui` opens them with a pass of that role."""
    folder = make_past(tmp_path_factory.mktemp("afar") / "lab")
    with served(folder), contextlib.ExitStack() as open_pages:
        lab, pages = flnb.open(folder), {}
        frame = lab.study("alpha").df().set_index("outcome")
        for role in ("viewer", "operator"):
            file = folder.parent / f"{role}.pass"
            file.write_text(grant_by_lab(lab, role, role, "1h").text)
            pages[role] = open_pages.enter_context(Ui(file, log=folder.parent / "ui.log"))
            pages[role].best = float(frame["best_accuracy"]["finished"])
        lab.store.close()
        yield pages


@pytest.fixture(params=["viewer", "operator"])
def role(request):
    return request.param


def test_the_grid_is_a_heat_map_through_a_pass(visit, afar, role):
    page = visit(afar[role], "")
    page.get_by_role("link", name="Studies").first.click()
    page.get_by_text("Accuracy in the best round, by alpha and strategy").wait_for()
    squares = {kind: page.locator(f"table.heat td.{kind}").first for kind in ("measured", "running", "failed")}  # fmt: skip
    drawn = {kind: square.evaluate(DRAWN) for kind, square in squares.items()}
    assert squares["measured"].locator("data").get_attribute("value") == repr(afar[role].best)
    assert drawn["measured"]["colour"] != drawn["failed"]["colour"]
    assert "repeating-linear-gradient" in drawn["running"]["ground"]
    assert "✕" in squares["failed"].inner_text()
    assert drawn["failed"]["frame"] != "none"
    assert violations(page) == []
    assert page.complaints == []


def test_a_square_leads_to_its_run(visit, afar, role):
    page = visit(afar[role], "studies?study=alpha")
    page.locator("table.heat td.measured a").click()
    page.wait_for_url("**/rounds?run=finished*")
    page.locator(".kpi dd", has_text="of 12").first.wait_for()
    page.go_back()
    page.locator("td").get_by_role("link", name="failed", exact=True).click()
    page.wait_for_url("**/rounds?run=failed*")


def test_why_a_cell_failed_is_told_to_operators(visit, afar, role):
    page = visit(afar[role], "studies?study=alpha")
    page.get_by_role("heading", name="Every cell").wait_for()
    page.locator("td .status", has_text="out of time").wait_for()
    why = page.locator("td", has_text="ZeroDivisionError: <b>division</b>")
    assert why.count() == (role == "operator")
    assert page.get_by_role("button", name="Download the report").count() == 0
