"""What all sessions share: from the store, from a coordinator, through its deaths."""

import math
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from flnb.coordinator import Lab
from flnb.core.errors import NotFoundError, QueryRefusedError, UnreachableError
from flnb.core.view import Status
from flnb.dashboards import feed, study_watch
from flnb.dashboards.access import Person
from flnb.dashboards.feed import Feed, Sight
from flnb.dashboards.targets import LabTarget
from flnb.store import HIDDEN

ROOT = Path(__file__).parents[2]
WITHIN_S = 60.0
VERA, OLE = Person("vera", "viewer", "x"), Person("ole", "operator", "x")


def until(condition, what):
    patience = time.monotonic() + WITHIN_S
    while not condition():
        assert time.monotonic() < patience, what
        time.sleep(0.02)


@pytest.fixture
def sight(target):
    made = Sight(target, "operator")
    made.start()
    yield made
    made.close()


def test_the_store_alone_tells_what_a_notebook_tells(sight, lab):
    told = threading.Event()
    sight.on_change(told.set, "finished")
    run = lab.run("finished")
    until(lambda: sight.frames(run.id) is not None, "frames come")
    frames = sight.frames(run.id)
    assert frames.metrics.equals(run.metrics.df())
    assert frames.rounds.equals(run.rounds.df())
    assert (told.is_set(), sight.now.standing.kind) == (True, "store")
    assert not (lab.path / "metrics.duckdb.wal").exists()


def test_pages_are_told_now_and_then_also_when_all_runs_are_over(sight, monkeypatch):
    monkeypatch.setattr(feed, "STALE_S", 0.0)  # a reader who was signed out is found out then
    until(lambda: sight.now.standing.kind == "store", "the store is read")
    told = []
    sight.on_change(lambda: told.append(sight.now.views))
    until(lambda: len(told) > 2, "it is told again and again")
    assert told[0] == told[-1]


def test_what_happens_between_two_times_is_told_together(sight, monkeypatch):
    monkeypatch.setattr(feed, "STALE_S", 0.0)
    monkeypatch.setattr(feed, "TELL_S", 3600.0)
    until(lambda: sight.now.standing.kind == "store", "the store is read")
    told, before = [], sight.now
    sight.on_change(lambda: told.append(1))
    until(lambda: sight.now is not before, "it is looked again")
    assert (told, sight._untold) == ([], True)
    sight.on_change(lambda: None, "finished")
    until(lambda: told, "rounds that closed are told at once")
    n_told, before = len(told), sight.now
    sight._frames.clear()  # as if more had closed since
    until(lambda: sight._closed, "they are seen")
    until(lambda: sight.now is not before, "it is looked again")
    assert len(told) == n_told


def test_rounds_that_may_not_be_told_yet_are_not_asked_for(sight, lab, monkeypatch):
    sight.on_change(lambda: None, "finished")
    until(lambda: sight.frames(lab.run("finished").id) and not sight._closed, "they were told")
    asked, told_s = [], sight._told_closed_s
    monkeypatch.setattr(feed, "TELL_S", 3600.0)
    monkeypatch.setattr(sight, "_grow", lambda _source, run, _view: asked.append(run))
    before = sight.now
    until(lambda: sight.now is not before, "it is looked again")
    assert (asked, sight._told_closed_s) == ([], told_s)
    monkeypatch.setattr(feed, "TELL_S", 0.0)
    until(lambda: asked, "they are asked for once they may be told")


def test_nothing_is_asked_while_nobody_looks_and_whoever_comes_sees_nothing_old(sight, monkeypatch):
    until(lambda: sight.now.standing.kind == "store", "the store is read")
    monkeypatch.setattr(feed, "REST_S", 0.0)
    until(lambda: sight.now.standing.kind == "loading", "it rests")
    assert sight._source is None
    sight.on_change(lambda: None)
    until(lambda: sight.now.standing.kind == "store", "the store is read again")


def test_whoever_comes_first_after_a_rest_may_ask_at_once(sight, monkeypatch):
    until(lambda: sight.now.standing.kind == "store", "the store is read")
    with monkeypatch.context() as resting:
        resting.setattr(feed, "REST_S", 0.0)
        until(lambda: sight.now.standing.kind == "loading", "it rests")
    sight.on_change(lambda: None)
    assert sight.source.views()


def test_while_nobody_answers_whoever_asks_is_told_at_once(target, monkeypatch):
    def nobody():
        raise UnreachableError("nobody answers")

    sight = Sight(target, "operator")
    monkeypatch.setattr(sight, "_look", nobody)
    sight.start()
    try:
        until(lambda: sight.now.standing.kind == "offline", "it was looked")
        began_s = time.monotonic()
        with pytest.raises(NotFoundError):
            _ = sight.source
        assert time.monotonic() - began_s < feed.FIRST_S / 2
    finally:
        sight.close()


def test_pages_stay_and_keep_the_studies_of_before_while_these_cannot_be_had(
    sight, lab, monkeypatch
):
    until(lambda: sight.now.standing.kind == "store", "the store is read")
    studies, asked = sight.now.studies, []

    def refuse():
        asked.append(1)
        raise UnreachableError("studies are not to be had")

    monkeypatch.setattr(sight._source, "studies", refuse)
    monkeypatch.setattr(study_watch, "LOOK_S", 3600.0)
    sight._studies._looked_s = -math.inf
    until(lambda: asked, "they are asked for")
    before = sight.now
    until(lambda: sight.now is not before, "it is looked again")
    assert (sight.now.standing.kind, sight.now.studies) == ("store", studies)
    assert lab.run("finished").id in sight.now.views
    assert len(asked) == 1  # as seldom as if they could be had


def test_a_viewer_is_told_nothing_of_single_clients(target, lab):
    source, run = target.stored("viewer"), lab.run("finished")
    with pytest.raises(QueryRefusedError):
        source.ask("SELECT * FROM updates")
    lab.store.state.set_status(run.id, Status.FAILED, "client mia says no")
    try:
        assert source.views()[run.id].error == HIDDEN
        assert target.stored("operator").views()[run.id].error == "client mia says no"
    finally:
        lab.store.state.set_status(run.id, Status.FINISHED)


def test_all_people_of_a_kind_share_one_look(target):
    shared = Feed(target)
    try:
        assert shared.sight(OLE) is shared.sight(Person("ada", "admin", "y"))
        assert shared.sight(OLE) is not shared.sight(VERA)
    finally:
        shared.close()


def test_nothing_of_a_lab_that_is_only_read_stays_open(no_leaks, tmp_path):
    target = LabTarget(Lab.open(tmp_path / "lab"))
    shared = Feed(target)
    sight = shared.sight(OLE)
    until(lambda: sight.now.standing.kind == "store", "the store is read")
    shared.close()
    target.close()


def hold(folder):
    """Start a coordinator beside us; it says so when the lab is its own."""
    holder = subprocess.Popen(
        [sys.executable, "-m", "tests.dashboards.holder", str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert holder.stdout.readline() == "ready\n"
    return holder


@pytest.mark.parametrize(
    "times", [2, pytest.param(20, marks=[pytest.mark.long, pytest.mark.timeout(1200)])]
)
def test_a_page_on_the_store_never_keeps_a_coordinator_from_starting(tmp_path, times):
    target = LabTarget(Lab.open(tmp_path / "lab"))
    sight = Sight(target, "operator")
    sight.on_change(lambda: None)
    sight.start()
    try:
        for _ in range(times):
            holder = hold(tmp_path / "lab")
            until(lambda: sight.now.standing.kind == "live", "the coordinator is found")
            holder.kill()
            holder.communicate()
            until(lambda: sight.now.standing.kind == "store", "the store is read again")
    finally:
        sight.close()
        target.close()
