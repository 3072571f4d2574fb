"""A picture that is made anew is the one that was shown."""

from dataclasses import replace

import pytest

from flnb.coordinator.picture import Picture
from flnb.core.view import RunView, Status
from flnb.store import LabStore
from flnb.testing.stores import sample_closing, sample_run


@pytest.fixture
def store(tmp_path):
    store = LabStore.open(tmp_path / "lab")
    store.state.create_run(sample_run())
    yield store
    store.close()


def measured(number):
    """Central metrics in every third round, and one of one's own from the twentieth on."""
    rows = [("training", "loss", 1 / number)]
    rows += [("central", "loss", 2 / number)] if number % 3 == 0 else []
    rows += [("central", "accuracy", number / 1000)] if number % 3 == 0 and number > 20 else []
    return dict(zip(("scope", "metric", "value"), zip(*rows, strict=True), strict=True))


@pytest.mark.parametrize("rounds", [0, 1, 7, 19, 30, 460])
def test_a_picture_of_many_rounds_is_what_showing_each_of_them_gives(store, rounds):
    closings = [
        store.state.close_round(replace(sample_closing(number), metrics=measured(number)))
        for number in range(1, rounds + 1)
    ]
    first = RunView("quiet-otter", "main", 1, Status.PAUSED, rounds=500)
    anew = Picture.of(first, store.state.course("run001", 8))
    shown = Picture(first, [*store.state.summaries("run001")])
    assert anew.view == shown.view
    assert anew.position == max((one.position for one in closings), default=0)
