"""Dialogs before a deed: what must be said first, and that nothing of the last time stays."""

import asyncio

import panel as pn
import panel_material_ui as pmui
import pytest

from flnb.dashboards.access import Person
from flnb.dashboards.components.dialog import Dialog, typed
from flnb.dashboards.pages.barring import Barring

pytestmark = pytest.mark.filterwarnings(  # of panel-material-ui, about its own class
    "ignore:Both 'variant' and 'button_style':PendingDeprecationWarning"
)


@pytest.fixture
def boxes():
    return [pmui.TextInput(label=label) for label in ("Name", "Reason")]


@pytest.fixture
def dialog(boxes):
    return Dialog("Revoke", boxes, "Revoke it", lambda _: None, danger=True, needs=boxes)


def test_a_deed_waits_until_everything_is_said_that_it_needs(dialog, boxes):
    assert dialog.deed.disabled
    boxes[0].value_input = "ada"
    assert dialog.deed.disabled
    boxes[1].value_input = "left the project"
    assert not dialog.deed.disabled
    boxes[1].value_input = "  "
    assert dialog.deed.disabled


def test_what_was_said_the_last_time_is_gone_when_a_dialog_opens(dialog, boxes):
    for box in boxes:
        box.param.update(value="said", value_input="said")
    dialog.open()
    assert [box.value for box in boxes] == ["", ""]
    assert dialog.deed.disabled


def test_boxes_that_nobody_needs_are_as_at_first_when_a_dialog_opens():
    condition, expires = pmui.TextInput(label="Only if"), pmui.TextInput(label="For", value="2h")
    settings = pmui.TextAreaInput(label="Settings")
    dialog = Dialog("Alias", [condition, pn.Row(expires, settings)], "Give it", lambda _: None)
    for box in (condition, expires, settings):
        box.param.update(value="said", value_input="said, and mo")
    dialog.open()
    assert [typed(box) for box in (condition, expires, settings)] == ["", "2h", ""]


def test_nobody_is_offered_the_role_that_was_chosen_for_another():
    role = pmui.Select(label="Role", options=["viewer", "operator", "admin"])
    dialog = Dialog("A pass", [role], "Make it", lambda _: None)
    role.value = "admin"
    dialog.open()
    assert role.value == "viewer"


def test_of_a_box_that_was_emptied_again_nothing_counts(boxes):
    done = []

    async def do(_):
        done.append([typed(box) for box in boxes])

    dialog = Dialog("Revoke", boxes, "Revoke it", do, needs=boxes)
    for box in boxes:
        box.value = "ada"
    asyncio.run(dialog._pressed(None))
    boxes[1].value_input = ""
    assert dialog.deed.disabled
    asyncio.run(dialog._pressed(None))  # was on its way
    assert done == [["ada", "ada"]]


def test_a_dialog_that_asks_nothing_can_be_answered_at_once():
    assert not Dialog("Stop", [], "Stop the run", lambda _: None, danger=True).deed.disabled


def test_nobody_is_barred_without_a_reason():
    class OnePage:
        person = Person("ada", "admin", "x")

    barring = Barring(OnePage())
    assert barring._resting.deed.disabled
    assert barring._revoking.deed.disabled


def test_a_double_click_does_a_deed_once():
    done, go = [], asyncio.Event()

    async def do(_):
        done.append("once")
        await go.wait()

    async def clicks():
        dialog = Dialog("A pass", [], "Make it", do)
        both = [asyncio.create_task(dialog._pressed(None)) for _ in range(2)]
        await asyncio.sleep(0)
        go.set()
        await asyncio.gather(*both)
        await dialog._pressed(None)

    asyncio.run(clicks())
    assert done == ["once", "once"]
