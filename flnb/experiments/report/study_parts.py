"""The parts of the report of a study."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from flnb.core import glance
from flnb.core.cards import Html, escape
from flnb.experiments.report import elements, installed, study_curves, tests
from flnb.experiments.report.elements import Column
from flnb.experiments.report.heat import Square, heat_map
from flnb.experiments.report.measured import lower_is_better
from flnb.experiments.report.settings import SETTING, Setting, as_text

if TYPE_CHECKING:
    import pandas as pd

    from flnb.experiments.report.of_study import StudyFacts

FINISHED = "finished"
_MOST_UNFOLDED = 40


def lead(facts: StudyFacts) -> Html:
    """What a reader sees first: how much is done, what is best, and what it cost."""
    cells, outcomes = facts.cells, Counter(facts.cells["outcome"])
    n_settings, n_seeds = len(facts.settings.all), facts.cells["seed"].nunique()
    told = " · ".join(f"{count} {state}" for state, count in outcomes.items() if state != FINISHED)
    line = f"{glance.count(n_settings, 'setting')}, {glance.count(n_seeds, 'seed')}, {glance.count(len(cells), 'cell')}"
    whole = outcomes[FINISHED] == len(cells)
    figures: dict[str, tuple[object, str]] = {}
    if ranked := best_first(facts):
        best = tests.spread(finished(ranked[0])[facts.headline])
        figures[f"Best {glance.words(facts.headline)}"] = elements.value(best.mean), f"{_spread_of(best)}{ranked[0].name}"  # fmt: skip
    figures |= {
        "Cells finished": (elements.count(outcomes[FINISHED]), f"of {len(cells):,}"),
        "Rounds": (elements.count(cells["rounds"].sum()), "of all cells"),
        "Sent by clients": (elements.size(cells["bytes_up"].sum()), "accepted updates"),
        "Time of cells": (elements.seconds(cells["seconds_s"].sum()), _each(cells)),
    }
    state = elements.state(FINISHED if whole else "running" if outcomes["running"] else "interrupted")  # fmt: skip
    remark = elements.note(f"Not every cell is finished: {told}. Numbers are of those that are.", "busy")  # fmt: skip
    parts = [f'<p class="lead">{state} &nbsp;{escape(line)}</p>', elements.key_figures(figures)]
    return Html("".join([*parts, "" if whole else f'<div style="margin-top:16px">{remark}</div>']))


def results(facts: StudyFacts) -> Html:
    """The grid, the curves, and the table of all settings."""
    settings = facts.settings
    ranked = best_first(facts)
    falls, name = lower_is_better(facts.headline), glance.words(facts.headline)
    parts: list[str] = []
    if settings.axes and settings.is_grid:
        squares = {one.name: square(one, facts.headline) for one in settings.all}
        seeds = facts.cells["seed"].nunique()
        over = f", mean over {seeds} seeds with its standard deviation" if seeds > 1 else ""
        caption = f"{glance.sentence(facts.headline) or 'Outcome'} after the last round by setting{over}. Hatched is running, crossed failed."
        parts.append(heat_map(caption, settings, squares, falls=falls))
    elif settings.axes:
        parts.append(study_curves.scatter(facts))
    if not ranked:
        return elements.joined(*parts, elements.paragraph("No cell is finished yet."))
    parts += [study_curves.curves(facts, ranked), _setting_table(facts, ranked, name)]
    parts += _other_measures(facts, ranked)
    return elements.joined(*parts)


_BESIDE = 4
"""Metrics that fit beside bytes and time, and metrics of each table after that one: paper is narrow."""


def _in_order(facts: StudyFacts) -> list[str]:
    return [facts.headline, *(one for one in facts.metrics if one != facts.headline)]


def _other_measures(facts: StudyFacts, ranked: Sequence[Setting]) -> list[Html]:
    """Tables of the metrics that found no place in the first, such as those of each held-out part."""
    axes = facts.settings.axes
    tables = []
    others = _in_order(facts)[_BESIDE:]
    for metrics in (others[at : at + _BESIDE] for at in range(0, len(others), _BESIDE)):
        columns = [
            *(Column(axis) for axis in axes or (SETTING,)),
            *(Column(glance.sentence(name), "n") for name in metrics),
        ]
        rows = []
        for one in ranked:
            spreads = [tests.spread(finished(one)[name]) for name in metrics]
            levels = [one.levels[axis] for axis in axes] if axes else [one.name]
            rows.append((*levels, *(elements.spread(each.mean, each.sd) for each in spreads)))
        caption = f"{', '.join(map(glance.sentence, metrics))}: the settings in the same order."
        tables.append(elements.table(caption, columns, rows))
    return tables


def _setting_table(facts: StudyFacts, ranked: Sequence[Setting], headline: str) -> Html:
    axes = facts.settings.axes
    metrics = _in_order(facts)[:_BESIDE]
    columns = [
        *(Column(axis) for axis in axes or (SETTING,)), Column("Seeds", "n"),
        *(Column(glance.sentence(name), "n") for name in metrics), Column(f"Best {headline}", "n"),
        Column("Rounds", "n"), Column("Sent a cell", "n"), Column("Time a cell", "n"),
    ]  # fmt: skip
    rows = []
    for one in ranked:
        mine = finished(one)
        spreads = [tests.spread(mine[name]) for name in metrics]
        best = tests.spread(mine[f"best_{facts.headline}"])
        rows.append(
            (
                *(one.levels[axis] for axis in axes or ()), *(() if axes else (one.name,)), str(len(mine)),
                *(elements.spread(each.mean, each.sd) for each in spreads), elements.spread(best.mean, best.sd),
                elements.count(mine["rounds"].mean()), elements.size(mine["bytes_up"].mean()),
                elements.seconds(mine["seconds_s"].mean()),
            )
        )  # fmt: skip
    caption = "Every setting, the best first: mean ± sample standard deviation over seeds, after the last round; best is the best of all rounds."
    return elements.table(caption, columns, rows)


def comparisons(facts: StudyFacts) -> Html:
    """Whether the levels of each parameter differ by more than chance."""
    parts: list[str] = []
    testable = facts.settings.is_grid and facts.headline
    for axis in facts.settings.axes if testable else ():
        found = tests.comparisons(_blocks(facts, axis), lower_is_better=lower_is_better(facts.headline))  # fmt: skip
        if found:
            parts.append(_comparison_table(facts, axis, found))
    if not parts:
        return elements.paragraph("There are no two finished cells that differ in one parameter alone.")  # fmt: skip
    return elements.joined(elements.paragraph(_METHOD), *parts)


_METHOD = (
    "Two cells are a pair if they agree in everything else, the seed included; differences are those of the last "
    f"round. From {tests.LEAST_PAIRS} pairs on p is that of Wilcoxon's signed-rank test, two-sided, adjusted by Holm's "
    "method for the comparisons of one table. With fewer pairs no outcome of that test could be below 5 %, and the "
    "differences themselves are told. Pairs of different settings are not independent samples of one effect: "
    "p says whether a level is better throughout this grid, not by how much."
)


def _comparison_table(facts: StudyFacts, axis: str, found: Sequence[tests.Comparison]) -> Html:
    rows = []
    for one in found:
        differences = one.spread
        better = sum(d < 0 if lower_is_better(facts.headline) else d > 0 for d in one.differences)
        told: object = ", ".join(
            f"{difference:+.4f}".replace("-", "−") for difference in one.differences
        )
        if not math.isnan(one.p):
            told = elements.value(one.p, f"p = {one.p:.3f}" if one.p >= 0.001 else "p < 0.001")
        rows.append(
            (one.first, one.second, str(differences.n), elements.spread(differences.mean, differences.sd), f"{better} of {differences.n}", told)
        )  # fmt: skip
    columns = [
        Column("Level"), Column("Against"), Column("Pairs", "n"), Column("Mean difference", "n"),
        Column("Better in", "n"), Column("Test, or the differences", "wrap"),
    ]  # fmt: skip
    return elements.table(f"{glance.sentence(facts.headline)} by {axis}, paired.", columns, rows)


def _blocks(facts: StudyFacts, axis: str) -> pd.DataFrame:
    """A row for each of what is else the same, a column a level."""
    mine = facts.cells[facts.cells["outcome"] == FINISHED]
    others = [name for name in facts.settings.axes if name != axis]
    texts = {name: list(map(as_text, mine[name])) for name in (*others, "seed", axis)}
    blocks = [
        " ".join(row) for row in zip(*(texts[name] for name in (*others, "seed")), strict=True)
    ]
    named = mine[[facts.headline]].assign(block=blocks, level=texts[axis])
    return named.pivot_table(index="block", columns="level", values=facts.headline, sort=False)


def cells(facts: StudyFacts) -> Html:
    """One row a cell, with what it cost, where its notebook is, and why it is not finished."""
    axes, named = facts.settings.axes, facts.headline
    best = [Column(glance.sentence(named), "n"), Column(f"Best {glance.words(named)}", "n")] if named else []  # fmt: skip
    columns = [
        *(Column(axis) for axis in axes), Column("Seed", "n"), Column("State"), *best,
        Column("Rounds", "n"), Column("Sent", "n"), Column("Time", "n"), Column("Run, and its notebook"),
    ]  # fmt: skip
    rows = [
        (
            *(as_text(row[axis]) for axis in axes), as_text(row["seed"]), _outcome(row),
            *((elements.value(row[named]), elements.value(row[f"best_{named}"])) if named else ()),
            elements.count(row["rounds"]), elements.size(row["bytes_up"]), elements.seconds(row["seconds_s"]),
            _notebook(facts, str(row["key"]), _text(row["run"])),
        )
        for row in facts.cells.to_dict("records")
    ]  # fmt: skip
    listed = elements.table("Every cell, as study.df() gives it.", columns, rows)
    many = len(rows) > _MOST_UNFOLDED
    parts: list[str] = [elements.fold(f"All {len(rows)} cells", listed) if many else listed]
    if troubled := [row for row in facts.cells.to_dict("records") if row["why"]]:
        parts.append(Html("<h3>Cells that did not finish</h3>"))
        parts += [elements.note(f"{row['key'][:8]}, {row['outcome']}: {row['why']}", "bad") for row in troubled]  # fmt: skip
    return elements.joined(*parts)


def _outcome(row: dict[object, object]) -> Html:
    taken = f' <span class="quiet">from {escape(row["origin"])}</span>' if row.get("origin") else ""
    return Html(f"{elements.state(str(row['outcome']))}{taken}")


def _notebook(facts: StudyFacts, key: str, run: str) -> Html:
    """The name of a cell's run, or its key before it has one; leads to the executed notebook."""
    address, name = facts.links.get(key), run or key[:8]
    return Html(f'<a href="{escape(address)}">{escape(name)}</a>') if address else escape(name)


def configuration(facts: StudyFacts) -> Html:
    """What was asked for, and the parameters that are the same in all cells."""
    axes = facts.settings.axes
    varied = {axis: ", ".join(facts.settings.levels(axis)) for axis in axes}
    same = {
        name: as_text(facts.cells[name].iloc[0])
        for name in facts.parameters
        if name not in axes and len(facts.cells)
    }
    parts = [
        f"<div><h3>{heading}</h3>{elements.facts(dict(told))}</div>"
        for heading, told in (
            ("What was asked for", facts.asked_for), ("Parameters that vary", varied), ("Parameters that do not", same),
        )
        if told
    ]  # fmt: skip
    return Html(f'<div class="columns">{"".join(parts)}</div>')


def environment(facts: StudyFacts) -> Html:
    """What it was computed with."""
    told = {words: glance.count(count, "run") for words, count in facts.environments.items()}
    return elements.joined(elements.facts(told) if told else "", installed.packages())


def best_first(facts: StudyFacts) -> list[Setting]:
    """Settings with a finished cell that was measured, by their mean."""
    if not facts.headline:
        return []
    sign = 1.0 if lower_is_better(facts.headline) else -1.0
    means = {one.name: tests.spread(finished(one)[facts.headline]).mean for one in facts.settings.all}  # fmt: skip
    known = [one for one in facts.settings.all if not math.isnan(means[one.name])]
    return sorted(known, key=lambda one: sign * means[one.name])


def finished(setting: Setting) -> pd.DataFrame:
    """The finished cells of a setting."""
    return setting.cells[setting.cells["outcome"] == FINISHED]


def square(setting: Setting, metric: str, link: str = "") -> Square:
    """A setting as it is drawn on the map."""
    values = tests.spread(finished(setting)[metric] if metric else [])
    states = dict(Counter(map(str, setting.cells["outcome"])))
    return Square(values.mean, values.sd, states, link)


def _spread_of(sample: tests.Spread) -> str:
    return "" if math.isnan(sample.sd) else f"± {glance.number(sample.sd)} over {sample.n} seeds, "


def _each(cells: pd.DataFrame) -> str:
    done = cells[cells["outcome"] == FINISHED]["seconds_s"]
    return f"{glance.seconds(float(done.median()))} a cell" if len(done) else ""


def _text(value: object) -> str:
    """A text of a column, empty where there is none: pandas has a number that is none there."""
    return value if isinstance(value, str) else ""
