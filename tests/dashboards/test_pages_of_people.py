"""What pages show to viewers, and of what concerns the whole lab."""

import pandas as pd
import pytest

from flnb.dashboards import queries
from flnb.dashboards.closed import closed
from flnb.dashboards.pages.rolling_back import RollingBack
from flnb.dashboards.pages.rounds import _happened
from flnb.dashboards.pages.system import _about, _lag
from flnb.dashboards.sources import Stored


@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_events_are_shown_to_every_role(lab, role):
    source = Stored(lab, role)
    line = queries.line(source, lab.run("finished").id)
    shown = _happened(closed(source, line, clients=role == "operator").events)
    source.close()
    assert "round complete" in shown


def test_a_long_name_takes_two_lines_of_the_events_and_is_whole_where_one_points():
    names = ["<b>" + "n" * 200, "ada"]
    shown = _happened(pd.DataFrame({"round": [1, 1], "kind": "client_update", "client": names, "detail": "lost"}))  # fmt: skip
    long = "&lt;b&gt;" + "n" * 200 + " lost"
    assert f'<span class="clip" title="{long}">{long}</span>' in shown
    assert '<span class="clip">ada lost</span>' in shown


def test_what_was_done_to_the_whole_lab_is_said_to_be_so(lab):
    table = pd.DataFrame({"run": ["first", None, float("nan")], "branch": ["main", None, "x"]})
    assert [_about(one) for one in table.itertuples()] == ["first · main", "the lab", "x"]


def test_both_ways_of_typing_a_reason_at_once_are_heard(lab):
    class OnePage:
        view = None

    rolling = RollingBack(OnePage())
    rolling._reason.param.update(value="because", value_input="because")
    assert rolling.dialog.deed.disabled


def test_the_lag_of_the_loop_has_its_unit_and_a_curve_of_the_last_minutes():
    assert "250 ms at most in 15 s" in _lag([0.001, 0.25])
    assert "<polyline" in _lag([0.001, 0.25])
    assert "<svg" not in _lag([0.001])
