"""What a source tells: how often it asks for it, and to whom it tells which words."""

from dataclasses import replace
from types import SimpleNamespace

from flnb.coordinator.control.connection import Connection
from flnb.coordinator.run import Run
from flnb.core.ids import RunId
from flnb.core.view import RunView, Status
from flnb.dashboards import queries
from flnb.dashboards.sources import Live, Stored
from flnb.store import HIDDEN
from tests.dashboards.test_access import Clock

VIEW = RunView("quiet-otter", "main", 1, Status.RUNNING, rounds=5)


class Coordinator(Connection):
    """Has one run, and counts how often it is asked which."""

    def __init__(self):
        self.asked = 0

    def runs(self):
        self.asked += 1
        return SimpleNamespace(ids=[RunId("r")])

    def attach(self, run):
        return Run(SimpleNamespace(view=VIEW))


def test_a_coordinator_is_asked_once_a_second_which_runs_there_are():
    there, clock = Coordinator(), Clock()
    source = Live(there, clock=clock)
    for _ in range(8):
        assert source.views() == {"r": VIEW}
        clock.now_s += 0.25
    assert there.asked == 2


def test_a_viewer_is_not_told_who_gave_a_name_and_why():
    run = SimpleNamespace(aliases=[{"name": "best", "actor": "ole", "reason": "mia is odd"}])
    assert queries.aliases(run, clients=True) == run.aliases
    (row,) = queries.aliases(run, clients=False)
    assert row == {"name": "best", "actor": HIDDEN, "reason": HIDDEN}


def test_a_viewer_of_the_store_is_told_no_words_that_may_quote_a_client(target, monkeypatch):
    view = replace(VIEW, error="mia says no", noted="mia is odd")
    monkeypatch.setattr(Stored, "_stored", lambda *_: view)
    assert list(target.stored("operator").views().values()) == [view]
    hidden = replace(view, error=HIDDEN, noted=HIDDEN)
    assert list(target.stored("viewer").views().values()) == [hidden]
