"""A run that is shown again: the newest frame moves, older ones stay still, and nothing piles up."""

import gc
import re
import time

import nbformat
import pytest
from nbclient import NotebookClient

import flnb
from flnb.core.progress import INTERVAL_S
from flnb.notebook import frame

LONG = 100_000
"""Rounds that nobody waits for."""


@pytest.fixture(scope="module")
def task():
    return flnb.tasks.digits(model="softmax", split=flnb.IID(clients=4, seed=0))


@pytest.fixture
def coord(tmp_path, task):
    with flnb.Coordinator(tmp_path / "lab") as coordinator:
        coordinator.simulate(task, workers=0)
        yield coordinator


@pytest.fixture
def outputs(monkeypatch):
    """What each output of a notebook would show, one text after the other."""
    outputs = []

    class Handle:
        def __init__(self, texts):
            self.texts = texts

        def update(self, content, *, raw):
            assert raw
            self.texts.append(content["text/plain"])

    def display(content, *, raw, display_id):
        assert raw
        assert display_id
        outputs.append([content["text/plain"]])
        return Handle(outputs[-1])

    monkeypatch.setenv("FLNB_PROGRESS", "notebook")
    monkeypatch.setattr(frame, "display", display)
    return outputs


def until(condition):
    give_up = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.01)


def moving(outputs):
    """Of each output whether it is still replaced, once what was under way has been drawn."""
    time.sleep(4 * INTERVAL_S)
    before = [len(texts) for texts in outputs]
    time.sleep(4 * INTERVAL_S)
    return [len(texts) > drawn for texts, drawn in zip(outputs, before, strict=True)]


def frames_in_memory():
    gc.collect()
    return sum(type(each) is frame.NotebookFrame for each in gc.get_objects())


def test_the_frame_that_was_asked_for_last_moves_and_the_others_stay_still(coord, task, outputs):
    run = coord.run(flnb.Plan(rounds=LONG, invite=2), task)
    run.live()
    until(lambda: len(outputs[0]) > 1)
    run.live()
    run.live()
    assert moving(outputs) == [False, False, True]
    assert frames_in_memory() == 1, "frames that stay still are not kept"
    run.stop().wait(60)
    assert ["stopped" in texts[-1] for texts in outputs] == [False, False, True]


def test_showing_a_run_again_and_again_leaves_nothing_behind(tmp_path, task, outputs, no_leaks):
    with flnb.Coordinator(tmp_path / "lab") as coord:
        coord.simulate(task, workers=0)
        run = coord.run(flnb.Plan(rounds=LONG, invite=2), task)
        for _ in range(50):
            run.live()
        run.pause().wait(60)
        assert len(outputs) == 50
        assert sum("paused" in texts[-1] for texts in outputs) == 1
    del run, coord
    assert frames_in_memory() == 0


def test_a_frame_of_a_run_that_rests_moves_on_when_it_is_resumed(tmp_path, task, outputs):
    with flnb.Coordinator(tmp_path / "lab") as coord:
        coord.simulate(task, workers=0)
        name = coord.run(flnb.Plan(rounds=LONG, invite=2), task).pause().wait(60).name
    outputs.clear()
    lab = flnb.open(tmp_path / "lab")
    run = lab.run(name)
    run.live()
    assert "paused" in outputs[0][-1]
    run.resume()
    with lab.coordinator:
        until(lambda: "● running" in outputs[0][-1])
        run.stop().wait(60)
    assert len(outputs) == 1
    assert "stopped" in outputs[0][-1]


START = """
import time
import flnb
coordinator = flnb.Coordinator({lab!r}).start()
task = flnb.tasks.digits(model="softmax", split=flnb.IID(clients=4, seed=0))
coordinator.simulate(task, workers=0)
run = coordinator.run(flnb.Plan(rounds=100_000, invite=2), task, name="quiet-otter")
run.live()
run.live()
"""
AGAIN = "run.live()"
GOES_ON = """
shown_at = run.view.round
while run.view.round < shown_at + 20:
    time.sleep(0.01)
print(shown_at, run.view.round)
"""
END = "run.stop().wait()\ncoordinator.stop()"


def test_in_a_kernel_the_frame_of_the_last_cell_moves_and_no_other(tmp_path):
    sources = [START.format(lab=str(tmp_path / "lab")), AGAIN, GOES_ON, END]
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    NotebookClient(nbformat.v4.new_notebook(cells=cells), timeout=60).execute()
    one, two, three = (output.data["text/plain"] for cell in cells[:2] for output in cell.outputs)
    shown_at, gone_on = map(int, cells[2].outputs[0].text.split())
    assert cells[3].outputs == []
    for still in (one, two):
        assert "● running" in still
        assert round_of(still) <= shown_at
    assert "stopped" in three
    assert round_of(three) >= gone_on


def round_of(text):
    return int(re.search(r"round (\d+)/", text).group(1))
