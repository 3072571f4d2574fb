"""Charts: what is there already does not travel again."""

import pandas as pd

from flnb.dashboards import plots, queries
from flnb.dashboards.overlay import Overlay

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


def test_what_is_made_once_is_shown_to_all_and_changed_by_none():
    made = [{"round": list(range(1, n)), "value": [0.5] * (n - 1)} for n in (3, 4)]
    bands = [{name: [1.0] * (n - 1) for name in plots.BAND} for n in (3, 4)]
    curves = [plots.Curve("loss"), plots.Curve("loss")]
    for line, band in zip(made, bands, strict=True):
        for curve in curves:
            curve.show(("a run",), line, band | {"round": line["round"]})
    assert [list(curve._line.data["round"]) for curve in curves] == [[1, 2, 3]] * 2
    assert [list(curve._band.data["round"]) for curve in curves] == [[1, 2, 3]] * 2
    assert [line["round"] for line in made] == [[1, 2], [1, 2, 3]]
    assert dict(plots.NO_BAND) == {name: [] for name in plots.BAND}


def test_bars_that_are_made_once_reach_every_chart():
    made = [plots.Bars.of("a run", ROUNDS.head(rows)) for rows in (3, 4)]
    charts = [plots.Outcomes(), plots.Outcomes()]
    for bars in made:
        for chart in charts:
            chart.show(bars)
    shown = [[int(number) for number in chart._source.data["round"]] for chart in charts]
    assert shown == [[1, 2, 3, 4]] * 2
    assert made[0].columns["round"] == [1, 2, 3]


def test_a_band_that_comes_later_is_streamed_to_one_chart_alone():
    curves = [plots.Curve("loss"), plots.Curve("loss")]
    for curve in curves:
        curve.show(("a run",), {"round": [1], "value": [0.5]})
    band = {name: [1.0] for name in plots.BAND} | {"round": [1]}
    curves[0].show(("a run",), {"round": [1], "value": [0.5]}, band)
    assert [len(curve._band.data["round"]) for curve in curves] == [1, 0]


def test_no_tick_stands_between_two_rounds_or_two_clients():
    bars, overlay = plots.Outcomes().figure, Overlay()
    assert bars.xaxis[0].ticker.min_interval == bars.yaxis[0].ticker.min_interval == 1
    assert plots.Curve("loss").figure.yaxis[0].ticker.min_interval == 0
    curves = {"a": ROUNDS.assign(value=0.5, seconds=ROUNDS["round"] / 10)}
    for x, least in (("round", 1), ("seconds", 0)):
        overlay.show(curves, x, words_x=x, words_y="loss", log_y=False)
        assert {one.xaxis[0].ticker.min_interval for one in overlay._figures.values()} == {least}
