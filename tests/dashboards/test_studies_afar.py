"""The page Studies through a pass: the coordinator tells what the lab's own folder would."""

import asyncio
from dataclasses import replace

import pytest

import flnb
from flnb.dashboards.access import Person
from flnb.dashboards.orders import Orders
from flnb.dashboards.pages import studies
from flnb.dashboards.pages.studies import Studies
from flnb.dashboards.study_watch import studies_in
from flnb.dashboards.targets import PassTarget
from flnb.store import HIDDEN, Outcome
from tests.dashboards.test_of_run import Still
from tests.ui.coordinating import plan_of, task_of
from tests.ui.places import make_study

pytestmark = pytest.mark.filterwarnings(  # of panel-material-ui, about its own class
    "ignore:Both 'variant' and 'button_style':PendingDeprecationWarning"
)


@pytest.fixture(scope="module")
def coordinator(tmp_path_factory):
    """Listens, with a study whose cells are in every state."""
    with flnb.Coordinator(tmp_path_factory.mktemp("afar") / "lab") as coordinator:
        coordinator.listen()
        coordinator.simulate(task_of(), workers=0)
        for name in ("finished", "failed"):
            coordinator.run(plan_of(2), task_of(), name=name).wait()
        make_study(coordinator.lab)
        yield coordinator


@pytest.fixture(scope="module")
def passes(coordinator):
    made = {
        role: PassTarget(coordinator.token(role, role=role).text) for role in ("viewer", "operator")
    }
    yield made
    for target in made.values():
        target.close()


@pytest.fixture
def source(passes, request):
    source = passes["operator"].open("operator")
    yield source
    source.close()


class Far(Still):
    """A sight through a pass, in which nothing happens."""

    def __init__(self, target, source):
        target.stored = lambda _: source
        super().__init__(target)
        self.now = replace(self.now, studies=source.studies())


def shown(passes, role, monkeypatch):
    monkeypatch.setattr(studies.pn.state, "execute", lambda do: asyncio.run(do()))
    target = passes[role]
    source = target.open(role)
    page = Studies(Far(target, source), Person("ole", role, "x"), Orders(target))
    page.__panel__()
    page.fill()
    source.close()
    return page


def test_the_map_shows_the_best_of_df_without_the_labs_folder(coordinator, passes, monkeypatch):
    page, frame = shown(passes, "viewer", monkeypatch), coordinator.lab.study("alpha").df()
    best = frame.set_index("outcome")["best_accuracy"]["finished"]
    assert f'<data value="{float(best)!r}">' in page._map.object
    for kind in ("running", "failed", "waiting"):
        assert f'<td class="{kind}"' in page._map.object
    assert Studies.is_offered(page.now)


def test_who_is_no_operator_is_told_no_reason_and_nobody_is_offered_files(passes, monkeypatch):
    viewers, operators = (shown(passes, role, monkeypatch) for role in ("viewer", "operator"))
    whys = [{cell.why for cell in page.chosen.cells} for page in (viewers, operators)]
    assert whys[0] == {"", HIDDEN}
    assert "ZeroDivisionError: <b>division</b>" in whys[1]
    for page in (viewers, operators):
        assert (len(page.panes), page.panes[-1].title) == (2, "Every cell")


def test_cells_are_those_of_the_state_database_and_asked_for_when_one_moved(
    coordinator, source, monkeypatch
):
    state = coordinator.lab.store.state
    (first,) = source.studies()
    (stored,) = studies_in(state)
    assert first.cells == tuple(replace(one, page="", log="") for one in stored.cells)
    asked = []
    cells = type(source.connection.studies).cells
    monkeypatch.setattr(
        type(source.connection.studies), "cells", lambda *of: asked.append(of[1]) or cells(*of)
    )
    assert (source.studies(), asked) == ((first,), [])
    waiting = stored.cells[3]
    state.put_cell(replace(waiting, outcome=Outcome.RUNNING))
    (moved,) = source.studies()
    state.put_cell(waiting)
    assert (moved.cells[3].outcome, asked) == (Outcome.RUNNING, ["alpha"])


def test_more_cells_than_a_page_has_come_all(coordinator, source, monkeypatch):
    wire, asked = source.connection._wire, []
    whole = wire.whole

    def short(method, request):
        request.limit = 4
        asked.append(request.offset)
        return whole(method, request)

    monkeypatch.setattr(wire, "whole", short)
    assert [one.key for one in source.connection.studies.cells("alpha")] == [
        f"k{n}" for n in range(6)
    ]
    assert asked == [0, 4]
