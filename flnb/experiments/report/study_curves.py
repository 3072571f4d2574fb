"""Curves of a study: the mean over seeds of each setting, with a band of one standard deviation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from flnb.core import glance
from flnb.core.cards import Html
from flnb.experiments.report import elements
from flnb.experiments.report.figures import COLOURS, Line, Words, chart, legend, side_by_side
from flnb.experiments.report.settings import Setting, Settings

if TYPE_CHECKING:
    from flnb.experiments.report.of_study import StudyFacts

_MOST_FIGURES = 12


def curves(facts: StudyFacts, best_first: Sequence[Setting]) -> Html:
    """Draw the headline of all settings: in one figure, or in one for each level of what is not coloured.

    Args:
        facts: Of the study.
        best_first: Its settings that were measured, the best first.
    """
    if not best_first or not len(facts.curves):
        return Html("")
    if len(best_first) <= COLOURS:
        return _in_one(facts, best_first)
    axis = _coloured(facts.settings)
    if axis is None:
        said = f"The {COLOURS} best of {len(best_first)} settings."
        return elements.joined(elements.paragraph(said), _in_one(facts, best_first[:COLOURS]))
    return _by_level(facts, best_first, axis)


def _in_one(facts: StudyFacts, settings: Sequence[Setting]) -> Html:
    asked = [setting for setting in facts.settings.all if setting.name in {one.name for one in settings}]  # fmt: skip
    drawn = [(facts.headline, "round"), (facts.headline, "bytes_up")]
    drawn += [(name, "round") for name in facts.metrics if name != facts.headline][:1]
    figures = []
    for metric, by in drawn:
        lines = [
            _line(facts, one, one.name, colour, metric, by) for colour, one in enumerate(asked)
        ]
        words = Words(
            f"{glance.sentence(metric)} by {_BY[by][0]}, {_over(asked)}.",
            _BY[by][1],
            glance.words(metric),
        )
        figures.append(chart(words, lines, key=len(asked) > 1))
    return side_by_side(figures)


_BY = {"round": ("round", "round"), "bytes_up": ("what clients sent", "MB sent by clients so far")}


def _by_level(facts: StudyFacts, best_first: Sequence[Setting], axis: str) -> Html:
    """One figure for each combination of the other parameters, a colour for each level of one."""
    panels: dict[str, list[Setting]] = {}
    for one in best_first:
        others = {name: level for name, level in one.levels.items() if name != axis}
        panels.setdefault(", ".join(f"{name} = {level}" for name, level in others.items()), []).append(one)  # fmt: skip
    names = list(panels)[:_MOST_FIGURES]
    asked = [one for one in dict.fromkeys(_panel_of(setting, axis) for setting in facts.settings.all) if one in names]  # fmt: skip
    levels = facts.settings.levels(axis)
    drawn = {
        name: [
            _line(facts, one, f"{axis} = {one.levels[axis]}", levels.index(one.levels[axis]), facts.headline, "round")
            for one in sorted(panels[name], key=lambda one: levels.index(one.levels[axis]))
        ]
        for name in asked
    }  # fmt: skip
    known = [v for lines in drawn.values() for line in lines for v in (*line.y, *line.low, *line.high) if math.isfinite(v)]  # fmt: skip
    over, y = _over(best_first), glance.words(facts.headline)
    figures = [
        chart(Words(f"{name}: {y} by round, {over}.", "round", y), lines, key=False, up=known)
        for name, lines in drawn.items()
    ]
    more = len(panels) - len(names)
    said = f"The {len(names)} of {len(panels)} combinations with the best settings are drawn." if more else ""  # fmt: skip
    key = legend([Line(f"{axis} = {level}", (), (), colour=at) for at, level in enumerate(levels)])
    return elements.joined(elements.paragraph(said) if said else "", key, side_by_side(figures))


def _panel_of(setting: Setting, axis: str) -> str:
    others = {name: level for name, level in setting.levels.items() if name != axis}
    return ", ".join(f"{name} = {level}" for name, level in others.items())


def _coloured(settings: Settings) -> str | None:
    """The parameter whose levels are told apart by colour: words before numbers, then the most levels."""
    fitting = [axis for axis in settings.axes if len(settings.levels(axis)) <= COLOURS]
    if not fitting or not settings.is_grid:
        return None
    return max(fitting, key=lambda axis: (_is_words(settings.levels(axis)), len(settings.levels(axis))))  # fmt: skip


def _is_words(levels: Sequence[str]) -> bool:
    return any(not level.replace(".", "").replace("-", "").replace("e", "").isdigit() for level in levels)  # fmt: skip


def _line(
    facts: StudyFacts, setting: Setting, name: str, colour: int, metric: str, by: str
) -> Line:
    """The mean over the seeds of a setting, round by round."""
    mine = setting.cells[setting.cells["outcome"] == "finished"]
    runs = set(mine["run"].dropna()) - {""}
    frame = facts.curves
    grouped = frame[frame["run"].isin(runs) & (frame["metric"] == metric)].groupby("round")
    mean, sd = grouped["value"].mean(), grouped["value"].std(ddof=1)
    x = list(map(float, mean.index)) if by == "round" else list(grouped["bytes_up"].mean() / 1e6)
    return Line(name, x, list(mean), list(mean - sd), list(mean + sd), colour)


def _over(settings: Sequence[Setting]) -> str:
    n_seeds = max((int((one.cells["outcome"] == "finished").sum()) for one in settings), default=1)
    return f"mean ± sd over {n_seeds} seeds" if n_seeds > 1 else "one seed"


def scatter(facts: StudyFacts) -> Html:
    """The headline by each parameter that a search varied."""
    figures = []
    for axis in facts.settings.axes:
        mine = facts.cells[facts.cells["outcome"] == "finished"]
        try:
            x = list(mine[axis].astype(float))
        except (TypeError, ValueError):
            continue  # words have no place on a line; the table below has them
        y = list(mine[facts.headline].astype(float))
        words = Words(f"{glance.sentence(facts.headline)} of each cell by {axis}.", axis, glance.words(facts.headline))  # fmt: skip
        figures.append(chart(words, [Line("cells", x, y, dots=True)]))
    return side_by_side(figures)
