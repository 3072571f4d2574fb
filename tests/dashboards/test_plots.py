"""Charts: what is there already does not travel again."""

import pandas as pd

from flnb.dashboards import plots, queries

ROUNDS = pd.DataFrame(
    {
        "round": range(1, 6),
        "seconds_s": 0.5,
        "closed_by": "all answered",
        "snapshot": None,
        **{name: range(5) for name in queries.OUTCOMES},
    }
)


def test_of_bars_that_follow_those_that_are_shown_only_the_new_ones_travel():
    shown, now = (plots.Bars.of("a run", ROUNDS.head(rows), 3) for rows in (3, 5))
    assert now.after(shown)["round"] == [4, 5]
    assert now.after(now)["round"] == []


def test_bars_of_another_line_and_after_a_gap_are_drawn_anew():
    now = plots.Bars.of("a run", ROUNDS, 3)
    assert now.after(plots.Bars.of("its branch", ROUNDS.head(4), 3)) is None
    assert now.after(plots.Bars.of("a run", ROUNDS.head(2), 3)) is None
    assert now.after(plots.Bars.of("a run", ROUNDS.head(0), 3)) is None


def test_only_so_many_bars_stay():
    bars = plots.Outcomes(3)
    for rows in (2, 4, 5):
        bars.show(plots.Bars.of("a run", ROUNDS.head(rows), 3))
        shown = [int(number) for number in bars._source.data["round"]]
        assert shown == list(range(max(1, rows - 2), rows + 1))


def test_a_curve_gets_the_rounds_that_it_lacks(monkeypatch):
    curve, streamed = plots.Curve("loss"), []
    monkeypatch.setattr(type(curve._line), "stream", lambda _, new: streamed.append(new["round"]))
    curve.show(("a run",), {"round": [1, 2], "value": [0.5, 0.4]})
    curve.show(("a run",), {"round": [1, 2, 3], "value": [0.5, 0.4, 0.3]})
    assert streamed == [[3]]
    curve.show(("another",), {"round": [1], "value": [0.1]})
    assert list(curve._line.data["round"]) == [1]
