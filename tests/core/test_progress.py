import sys
import threading
import tomllib
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from flnb.core import progress
from flnb.core.errors import NotFoundError
from flnb.core.view import RunView, Status

VIEW = RunView("quiet-otter", "main", 1, Status.RUNNING, rounds=100)


class _Recorder:
    def __init__(self):
        self.shown = []

    def show(self, view, *, final=False):
        self.shown.append((view.round, final))


class _Clock:
    """A clock that the test moves; it calls what is due later, too."""

    def __init__(self):
        self.time_s, self.due = 100.0, []

    def now(self):
        raise AssertionError("throttling needs no wall clock")

    def monotonic_s(self):
        return self.time_s

    def later(self, delay_s, call):
        self.due.append((self.time_s + delay_s, call))

    def advance(self, seconds):
        self.time_s += seconds
        ready = [call for at, call in self.due if at <= self.time_s]
        self.due = [item for item in self.due if item[0] > self.time_s]
        for call in ready:
            call()


@pytest.fixture
def stage():
    inner, clock = _Recorder(), _Clock()
    return inner, clock, progress.Throttled(inner, clock, clock.later)


def _at(round_number):
    return replace(VIEW, round=round_number)


def test_a_thousand_changes_in_ten_seconds_are_forty_frames(stage):
    inner, clock, throttled = stage
    for number in range(1, 1001):
        throttled.show(_at(number))
        clock.advance(0.01)
    assert 38 <= len(inner.shown) <= 41


def test_the_last_change_of_a_burst_is_drawn_without_another_change(stage):
    inner, clock, throttled = stage
    for number in (1, 2, 3):
        throttled.show(_at(number))
    assert inner.shown == [(1, False)]
    clock.advance(0.25)
    assert inner.shown == [(1, False), (3, False)]
    throttled.show(_at(4))
    clock.advance(0.25)
    assert inner.shown[-1] == (4, False), "and so is that of the next burst"


def test_a_frame_that_looks_the_same_is_not_sent(stage):
    inner, clock, throttled = stage
    for _ in range(5):
        throttled.show(_at(1))
        clock.advance(1.0)
    assert inner.shown == [(1, False)]


def test_the_final_frame_is_drawn_at_once(stage):
    inner, clock, throttled = stage
    throttled.show(_at(1))
    throttled.show(_at(2))
    throttled.show(_at(3), final=True)
    assert inner.shown == [(1, False), (3, True)]
    clock.advance(1.0)
    assert inner.shown == [(1, False), (3, True)], "and nothing older comes after it"


def test_the_final_frame_is_drawn_again_for_the_cell_that_waits(stage):
    inner, _clock, throttled = stage
    throttled.show(_at(1), final=True)
    throttled.show(_at(1), final=True)
    assert inner.shown == [(1, True), (1, True)]


def test_a_resumed_run_moves_again(stage):
    inner, clock, throttled = stage
    throttled.show(_at(1), final=True)
    clock.advance(1.0)
    throttled.show(_at(2))
    assert inner.shown == [(1, True), (2, False)]


def test_a_slow_older_frame_does_not_stay_over_the_final_one():
    started, go_on = threading.Event(), threading.Event()
    screen = []

    class Slow:
        def show(self, view, *, final=False):
            if view.round == 1:
                started.set()
                assert go_on.wait(5)
            screen.append(view.round)

    throttled = progress.Throttled(Slow())
    drawer = threading.Thread(target=throttled.show, args=(_at(1),))
    drawer.start()
    assert started.wait(5)
    throttled.show(_at(2), final=True)
    go_on.set()
    drawer.join()
    assert screen[-1] == 2


@pytest.mark.parametrize("name", ["notebook", "terminal", "lines", "off"])
def test_every_built_in_display_can_be_made(name):
    assert callable(progress.progress_registry.find(name)().show)


def test_entry_points_name_the_same_built_in_displays():
    root = Path(progress.__file__).parents[2]
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["entry-points"]["flnb.progress"] == progress._HOMES


def test_the_environment_chooses_the_display(monkeypatch):
    monkeypatch.setenv("FLNB_PROGRESS", "off")
    progress.here().show(VIEW, final=True)
    monkeypatch.setenv("FLNB_PROGRESS", "lnies")
    with pytest.raises(NotFoundError, match="lines"):
        progress.here()


@pytest.mark.parametrize(
    ("kernel", "tty", "term", "expected"),
    [
        (True, True, "xterm", "notebook"),
        (False, True, "xterm", "terminal"),
        (False, True, "dumb", "lines"),
        (False, False, "xterm", "lines"),
    ],
)
def test_without_a_word_the_place_chooses(monkeypatch, kernel, tty, term, expected):
    shell = SimpleNamespace(kernel=object()) if kernel else None
    monkeypatch.delenv("FLNB_PROGRESS", raising=False)
    monkeypatch.setenv("TERM", term)
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    monkeypatch.setattr(sys, "stderr", SimpleNamespace(isatty=lambda: tty))
    made = progress._HOMES[expected].rpartition(":")[2]
    display = progress.here()
    assert type(getattr(display, "_inner", display)).__name__ == made
