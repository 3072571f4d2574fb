"""Checkpoints, clients and comparisons in a browser; a roll back from the first look to its undo."""

import re
from urllib.parse import quote

import pytest

import flnb
from tests.ui.places import Pages, make_past
from tests.ui.test_live import token_of

pytestmark = [pytest.mark.ui, pytest.mark.timeout(300)]

LEAVING = """SELECT count(*) AS n, sum(bytes_up) / 1e6 AS mb FROM rounds
  WHERE run = 'finished' AND round BETWEEN 7 AND 10"""


@pytest.fixture(scope="module")
def held(tmp_path_factory):
    """Pages of a lab whose runs rest, and which this process holds."""
    lab = make_past(tmp_path_factory.mktemp("held") / "lab")
    with flnb.Coordinator(flnb.open(lab)) as coordinator:
        coordinator.listen()
        with Pages(lab) as pages:
            pages.lab, pages.coordinator = coordinator.lab, coordinator
            yield pages


@pytest.fixture
def branch(held, request):
    """A branch of the finished run that no other test moves."""
    name = re.sub(r"\W", "-", request.node.name)[:40]
    return held.coordinator.lab.run("finished").branch(name, at=10)


def ask_to_roll_back(page, to):
    page.get_by_role("button", name="Roll back to it…").click()
    deed = page.get_by_role("button", name=re.compile(f"^Roll back .* to round {to}$"))
    deed.wait_for()
    return deed


def test_a_roll_back_goes_from_preview_to_undo(visit, held, branch):
    page = visit(held, f"checkpoints?run={branch.name}&at=6")
    deed = ask_to_roll_back(page, 6)
    dialog = page.get_by_role("dialog")
    preview = branch.rollback(6).facts()
    for text in preview.values():
        dialog.get_by_text(text, exact=True).first.wait_for()
    leaves = held.lab.sql(LEAVING).df().iloc[0]
    assert f"({leaves['n']:.0f})" in preview["leaves"]
    assert preview["stays"].startswith(f"{leaves['mb']:.1f} MB sent up")
    assert deed.is_disabled()
    dialog.get_by_label("Reason, kept in the log").fill("it diverged")
    deed.click()
    page.get_by_text("rests until it is resumed").wait_for()
    assert branch.history.checkpoint("@head").round == 6
    log = held.lab.sql("SELECT actor, reason FROM operations WHERE verb = 'rollback'").df()
    assert "it diverged" in set(log["reason"])
    page.reload()
    page.get_by_text("rests until it is resumed").wait_for()  # the log knows it
    page.get_by_role("button", name="Undo…").click()
    undo = page.get_by_role("button", name=re.compile("^Roll back .* to round 10$"))
    dialog.get_by_label("Reason, kept in the log").fill("after all")
    undo.click()
    page.get_by_text("was rolled back to round 10").wait_for()
    assert branch.history.checkpoint("@head").round == 10
    assert page.complaints == []


def test_of_two_tabs_the_second_is_refused_and_gets_a_fresh_preview(visit, held, branch):
    one, other = (visit(held, f"checkpoints?run={branch.name}&at=5") for _ in range(2))
    deeds = [ask_to_roll_back(page, 5) for page in (one, other)]
    for page in (one, other):
        page.get_by_role("dialog").get_by_label("Reason, kept in the log").fill("too bold")
    held.coordinator.lab.run(branch.name).rollback(8).apply("somebody was first")
    for page, deed in zip((one, other), deeds, strict=True):
        deed.click()
        page.get_by_text("this is a fresh preview").wait_for()
    assert branch.history.checkpoint("@head").round == 8
    other.get_by_role("dialog").get_by_text("rounds 6–8").wait_for()


def test_a_dialog_opens_by_key_keeps_the_focus_and_closes_by_escape(visit, held, branch):
    page = visit(held, f"checkpoints?run={branch.name}&at=4")
    button = page.get_by_role("button", name="Alias…")
    button.wait_for()
    page.wait_for_function("(b) => !b.disabled", arg=button.element_handle())
    button.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    dialog.wait_for()
    inside = """(dialog) => { let one = document.activeElement
      while (one.shadowRoot && one.shadowRoot.activeElement) one = one.shadowRoot.activeElement
      for (let up = one; up; up = up.parentNode || up.host) if (up === dialog) return true
      return false }"""
    for _ in range(8):
        page.keyboard.press("Tab")
        assert dialog.evaluate(inside)
    page.keyboard.press("Escape")
    dialog.wait_for(state="hidden")
    focused = """() => { let one = document.activeElement
      while (one.shadowRoot && one.shadowRoot.activeElement) one = one.shadowRoot.activeElement
      return one.textContent.trim() }"""
    page.wait_for_function(f"({focused})() === 'Alias…'")


def test_a_dialog_is_whole_on_a_phone(visit, held, branch):
    page = visit(
        held, f"checkpoints?run={branch.name}&at=6", viewport={"width": 390, "height": 844}
    )
    deed = ask_to_roll_back(page, 6)
    dialog = page.get_by_role("dialog")
    edge = dialog.bounding_box()
    for part in (deed, dialog.get_by_role("heading", name="Roll back").first):
        box = part.bounding_box()
        assert edge["x"] <= box["x"]
        assert box["x"] + box["width"] <= edge["x"] + edge["width"]
        assert part.evaluate("(one) => one.scrollWidth <= one.clientWidth + 1")
    assert dialog.evaluate("(one) => one.scrollWidth <= one.clientWidth")


MISSED = """() => {
  const parts = [...Bokeh.documents[0]._all_models.values()].map((one) => one.data?.properties)
  const deed = parts.find((one) => /^Roll back .* to round/.test(one?.label?.get_value() ?? ""))
  const dialogs = parts.filter((one) => one?.open)
  const change = () => deed.label.set_value("Said while it was drawn")  // and nobody is told
  for (const one of dialogs) one.open.change.connect(() => setTimeout(change, 1000))
  return dialogs.length
}"""


def test_what_a_button_in_a_dialog_did_not_hear_of_it_shows_a_moment_later(visit, held, branch):
    page = visit(held, f"checkpoints?run={branch.name}&at=6")
    ask_to_roll_back(page, 6)
    page.keyboard.press("Escape")
    page.get_by_role("dialog").wait_for(state="hidden")
    assert page.evaluate(MISSED) > 0
    page.get_by_role("button", name="Roll back to it…").click()
    page.get_by_role("button", name="Said while it was drawn").wait_for(timeout=10_000)


def test_a_name_is_given_under_a_condition_and_refused_with_numbers(visit, held, branch):
    page = visit(held, f"checkpoints?run={branch.name}&at=7")
    page.get_by_role("button", name="Alias…").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Alias", exact=True).fill("serving")
    dialog.get_by_label("Only if (may be empty)").fill("accuracy > 0.999")
    dialog.get_by_role("button", name="Give the alias").click()
    dialog.get_by_text("does not hold in round 7").wait_for()
    dialog.get_by_label("Only if (may be empty)").fill("")
    dialog.get_by_label("Alias", exact=True).focus()
    dialog.get_by_role("button", name="Give the alias").click()
    page.locator("td", has_text="@serving").first.wait_for()
    assert branch.checkpoint("@serving").round == 7


def test_a_viewer_can_look_and_not_move(visit, held, branch):
    person = token_of(held.lab.path, "vera", "viewer")
    page = visit(held, f"checkpoints?run={branch.name}&at=6", person=person)
    page.get_by_text("operators change runs").first.wait_for()
    for name in ("Roll back to it…", "Branch from it…", "Alias…"):
        assert page.get_by_role("button", name=name).is_disabled()
    page.goto(f"{held.address}clients?run={branch.name}")
    page.get_by_text("Clients is for operators.").wait_for()


def test_clients_are_found_sorted_and_turned(visit, past):
    page = visit(past, "clients?run=finished&sort=-accepted")
    page.locator("td.name").first.wait_for()
    counts = [int(text) for text in page.locator("tbody tr td:nth-child(3)").all_inner_texts()]
    assert counts == sorted(counts, reverse=True)
    page.get_by_label("Find clients").fill("script")
    page.get_by_label("Find clients").press("Enter")
    page.get_by_text("1–1 of 1").wait_for()
    page.locator("td.name a").click()
    page.get_by_text("Updates accepted").wait_for()
    page.get_by_role("heading", name="<script>alert(1)</script>").wait_for()
    assert page.complaints == []


def test_an_address_brings_everything_back(visit, past):
    address = "checkpoints?run=finished&at=9&against=3"
    page = visit(past, address)
    page.get_by_text("9 of finished").wait_for()
    page.locator("td", has_text="0.weight").first.wait_for()
    page.goto(f"{past.address}compare?runs=finished,failed&metric=loss&x=seconds")
    page.get_by_text("Loss of 2 runs by seconds of rounds").wait_for()
    page.go_back()
    page.get_by_text("9 of finished").wait_for()
    assert page.complaints == []


def test_somebody_signs_in_with_a_pass_in_the_form(browser, past):
    token = token_of(past.lab, "leo", "viewer")
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{past.address}rounds?run=finished")
    page.get_by_label("Token or pass").fill("guessed")
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("alert").wait_for()
    page.get_by_label("Token or pass").fill(token)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_text("viewer: leo").wait_for()
    page.get_by_text("round complete").first.wait_for()
    context.close()


def test_what_looks_like_a_number_in_an_address_stays_a_text(visit, past):
    for odd in ("²", "007", "[abc"):
        page = visit(past, f"clients?run={quote(odd)}&page=2")
        page.get_by_text(f"There is no run “{odd}” in this lab.").wait_for()
        page.wait_for_function(
            "(run) => new URLSearchParams(location.search).get('run') === run", arg=odd
        )
        assert page.complaints == []


def test_what_does_not_fit_in_an_address_is_left_out_alone(visit, past):
    page = visit(past, "clients?run=failed&sort=nonsense&find=plain&page=abc")
    page.get_by_text("does not fit and is left out: sort='nonsense', page='abc'").wait_for()
    page.get_by_text("1–1 of 1").wait_for()
    page.locator("td.name", has_text="c-plain").wait_for()
    page.locator(".head b", has_text="failed").wait_for()
    assert "nonsense" not in page.url
    assert page.complaints == []


@pytest.mark.parametrize(
    ("address", "button", "deed", "boxes"),
    [
        ("system", "Revoke…", "Revoke the passes", ["Name"]),
        ("system", "Make a pass…", "Make the pass", ["Name"]),
        ("rounds?run=failed", "Branch from here…", "Make the branch", ["Name of the branch"]),
        ("client?run=failed&name=c-plain", "Quarantine…", "Quarantine the client", ["Reason, kept in the log"]),
    ],
)  # fmt: skip
def test_a_deed_waits_for_what_it_needs(visit, held, address, button, deed, boxes):
    page = visit(held, address)
    page.get_by_role("button", name=button, exact=True).click()
    dialog = page.get_by_role("dialog")
    assert dialog.get_by_role("button", name=deed).is_disabled()
    for box in boxes:
        dialog.get_by_label(box).fill("because")
    deed = dialog.get_by_role("button", name=deed)
    page.wait_for_function("(one) => !one.disabled", arg=deed.element_handle())
    dialog.get_by_role("button", name="Cancel").click()
    dialog.wait_for(state="hidden")
