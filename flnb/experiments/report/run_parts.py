"""The parts of the report of a run."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from flnb.coordinator.history.comparing import leaves
from flnb.coordinator.history.graph import as_svg
from flnb.core import glance
from flnb.core.cards import Html, escape
from flnb.experiments.report import elements, installed
from flnb.experiments.report.elements import Column
from flnb.experiments.report.figures import Line, Words, chart, side_by_side
from flnb.experiments.report.measured import best_of, lower_is_better

if TYPE_CHECKING:
    import pandas as pd

    from flnb.experiments.report.of_run import RunFacts

_MOST_ROUNDS, _MOST_CLIENTS, _MOST_OPERATIONS = 30, 40, 40
_OUTCOMES = ("accepted", "refused", "failed", "lost", "late")


def lead(facts: RunFacts) -> Html:
    """What a reader sees first: what it is, how it ended, and the numbers that matter."""
    view, rounds = facts.view, facts.rounds
    started = f"started {view.started_at:%Y-%m-%d %H:%M} UTC" if view.started_at else ""
    words = (
        str(facts.record["task"]), f"{facts.plan['strategy']['kind']}", f"branch {view.branch}",
        started, f"lab {view.lab}" if view.lab else "",
    )  # fmt: skip
    line = " · ".join(word for word in words if word)
    figures: dict[str, tuple[object, str]] = {
        "Rounds": (elements.count(view.round), f"of {view.rounds:,} planned"),
        "Sent by clients": (elements.size(int(rounds["bytes_up"].sum())), "accepted updates"),
        "Time of rounds": (elements.seconds(float(rounds["seconds_s"].sum())), _pace(rounds)),
    }
    parts = [
        f'<p class="lead">{elements.state(view.status)} &nbsp;{escape(line)}</p>',
        elements.note(view.error, "bad") if view.error else "",
        elements.key_figures(_headline(facts) | figures),
    ]
    return Html("".join(parts))


def _headline(facts: RunFacts) -> dict[str, tuple[object, str]]:
    """The metric that is drawn, and ε where some was spent."""
    found = dict[str, tuple[object, str]]()
    name = facts.view.headline
    curve = _series(facts.metrics, "central", name)
    if len(curve):
        best, at = best_of(curve, name)
        below = f"best {glance.number(best)} in round {at}"
        found[glance.sentence(name)] = elements.value(float(curve.iloc[-1])), below
    spent = facts.metrics[facts.metrics["metric"] == "epsilon"]
    if len(spent):
        found["ε spent"] = elements.value(float(spent["value"].iloc[-1])), "after the last round"
    return found


def results(facts: RunFacts) -> Html:
    """Every metric by round, and where each ended."""
    central = list(dict.fromkeys(facts.metrics.query("scope == 'central'")["metric"]))
    central.sort(key=lambda name: (name != facts.view.headline, lower_is_better(name)))
    if not len(facts.rounds):
        return elements.paragraph("No round is closed yet.")
    figures = [
        _curve(facts, "central", name, f"{glance.sentence(name)} of the global model")
        for name in central
    ]
    figures += [_curve(facts, "federated", name, f"{glance.sentence(name)} at the clients of the round, before they train") for name in _names(facts, "federated")]  # fmt: skip
    figures.append(_training(facts))
    return elements.joined(side_by_side(figures), _ends(facts))


def _curve(facts: RunFacts, scope: str, name: str, title: str) -> Html:
    series = _series(facts.metrics, scope, name)
    line = Line(glance.words(name), list(series.index), list(series))
    return chart(Words(f"{title}, by round.", "round", glance.words(name)), [line])


def _training(facts: RunFacts) -> Html:
    series = _series(facts.metrics, "training", "loss")
    lines = [Line("mean over examples", list(series.index), list(series))]
    title = "Loss of the training in each round"
    if facts.band is not None and len(facts.band):
        band = facts.band
        x, y, low, high = (
            list(band[name].astype(float)) for name in ("round", "mid", "low", "high")
        )
        lines.append(Line("median client, band 5 % to 95 %", x, y, low, high, colour=1))
        title += ", over all clients that were used"
    return chart(Words(f"{title}.", "round", "training loss"), lines)


def _ends(facts: RunFacts) -> Html:
    """Where each metric began and ended, with its best round."""
    rows = []
    for scope, name in facts.metrics[["scope", "metric"]].drop_duplicates().itertuples(index=False):
        series = _series(facts.metrics, scope, name)
        best, at = best_of(series, name)
        rows.append(
            (glance.words(name), scope, *map(elements.value, (series.iloc[0], series.iloc[-1], best)), str(at))
        )  # fmt: skip
    columns = [Column("Metric"), Column("Measured"), *(Column(head, "n") for head in ("First", "Last", "Best", "In round"))]  # fmt: skip
    return elements.table(
        "Where each metric began and ended. Central is held-out data, federated the clients' own, training what clients saw while they trained.",
        columns,
        rows,
    )


def rounds(facts: RunFacts) -> Html:
    """One row a round; of many, some that are evenly apart."""
    table = facts.rounds
    if not len(table):
        return elements.paragraph("No round is closed yet.")
    names = sorted(_names(facts, "central"), key=lambda name: name == "loss")[:4]
    by_round = {name: _series(facts.metrics, "central", name) for name in names}
    by_round["training loss"] = _series(facts.metrics, "training", "loss")
    by_round = {name: series for name, series in by_round.items() if len(series)}
    chosen = table.iloc[[round(at) for at in glance.thin(range(len(table)), _MOST_ROUNDS)]]
    rows = [
        (
            str(row["round"]),
            *(elements.value(float(series.get(row["round"], math.nan))) for series in by_round.values()),
            f"{row['accepted']}/{row['invited']}", row["closed_by"], elements.seconds(row["seconds_s"]),
            elements.size(row["bytes_up"]), _commit(row["snapshot"]),
        )
        for row in chosen.to_dict("records")
    ]  # fmt: skip
    columns = [
        Column("Round", "n"), *(Column(glance.sentence(name), "n") for name in by_round),
        Column("Used", "n"), Column("Closed by"), Column("Time", "n"), Column("Sent", "n"), Column("Commit"),
    ]  # fmt: skip
    fewer = f", {len(chosen)} of {len(table):,} that are evenly apart" if len(chosen) < len(table) else ""  # fmt: skip
    return elements.table(f"The rounds that lead to the head of the run{fewer}.", columns, rows)


def participants(facts: RunFacts) -> Html:
    """What became of the clients that were invited."""
    totals = {name: int(facts.rounds[name].sum()) for name in ("invited", *_OUTCOMES)}
    shares = "; ".join(
        f"{totals[name]:,} {name} ({totals[name] / totals['invited']:.1%})"
        for name in _OUTCOMES
        if totals[name]
    )
    said = f"{totals['invited']:,} invitations in {len(facts.rounds):,} rounds: {shares or 'none'}."
    if facts.clients is None:
        return elements.joined(
            elements.paragraph(said),
            elements.paragraph("This report names no single client."),
        )
    clients = facts.clients
    if not len(clients):
        return elements.paragraph(said)
    invited = clients["invited"]
    spread = f"{len(clients):,} clients took part, each invited {invited.min()} to {invited.max()} times (median {invited.median():g})."
    return elements.joined(elements.paragraph(f"{said} {spread}"), _client_table(clients))


def _client_table(clients: pd.DataFrame) -> Html:
    columns = [Column("Client", "wrap"), *(Column(head, "n") for head in ("Invited", "Used", "Refused", "Failed", "Lost or late", "Examples", "Mean loss", "Training"))]  # fmt: skip
    rows = [
        (
            row["client"], *(str(row[name]) for name in ("invited", "used", "refused", "failed", "missed")),
            elements.count(row["examples"]), elements.value(row["loss"]), elements.seconds(row["train_s"]),
        )
        for row in clients.head(_MOST_CLIENTS).to_dict("records")
    ]  # fmt: skip
    more = (
        f", the {_MOST_CLIENTS} of {len(clients):,} that were invited most"
        if len(clients) > _MOST_CLIENTS
        else ""
    )
    return elements.table(f"What each client did{more}.", columns, rows)


def configuration(facts: RunFacts) -> Html:
    """Every setting of the plan."""
    settings = {name: _shown(told) for name, told in leaves(facts.plan)}
    task = elements.facts({"task": facts.record["task"], "digest of the plan": facts.record["plan_hash"] or "–"})  # fmt: skip
    half = math.ceil(len(settings) / 2)
    named = list(settings.items())
    both = "".join(elements.facts(dict(part)) for part in (named[:half], named[half:]))
    return elements.joined(task, Html(f'<h3>The plan</h3><div class="columns">{both}</div>'))


def _shown(told: Any) -> str:
    if told is None:
        return "none"
    return json.dumps(told) if isinstance(told, list | dict) else str(told)


def history(facts: RunFacts) -> Html:
    """The branches of the run, and who steered it."""
    walk = facts.history
    commits = Counter(one.branch for one in walk.rounds if one.commit)
    told = ", ".join(
        f"{glance.count(count, 'commit')} on {branch}" for branch, count in commits.items()
    )
    picture = f'<figure class="plain">{as_svg(walk.title, walk.lanes)}</figure>'
    parts: list[str] = [
        elements.paragraph(
            f"{told or 'No commit'}. A lane is a branch between two roll backs; a dot is a commit."
        ),
        Html(picture),
    ]
    if facts.operations is not None and len(facts.operations):
        parts.append(_operation_table(facts.operations))
    return elements.joined(*parts)


def _operation_table(operations: pd.DataFrame) -> Html:
    shown = operations.tail(_MOST_OPERATIONS)
    rows = [
        (f"{at:%Y-%m-%d %H:%M:%S}", actor, verb, reason or "–")
        for at, actor, verb, reason in zip(
            shown["at"], shown["actor"], shown["verb"], shown["reason"], strict=True
        )
    ]
    fewer = f", the newest {len(shown)}" if len(shown) < len(operations) else ""
    columns = [Column("When, UTC"), Column("Who"), Column("What"), Column("Why", "wrap")]
    return elements.table(f"Who did what to this branch{fewer}.", columns, rows)


def environment(facts: RunFacts) -> Html:
    """What it was computed with, and from which code and data."""
    record, name = facts.record, facts.view.name
    started = _read(record["environment"])
    fingerprint = _read(record["fingerprint"])
    told: dict[str, object] = {
        "identity of the run": record["id"],
        **{f"{part} at the start": text for part, text in started.items()},
        **{f"fingerprint of the {part}": text for part, text in fingerprint.items()},
        "digest of the parameters": facts.parameters_sha256 or "nothing was committed",
    }
    again = f"lab = flnb.open({facts.view.lab!r})\nrun = lab.run({name!r})\nrun.metrics.df()  # every number above\nrun.model()  # the parameters with that digest"
    return elements.joined(
        elements.facts(told),
        Html("<h3>The same numbers in Python</h3>"),
        elements.code(again),
        installed.packages(),
    )


def _read(text: object) -> Mapping[str, str]:
    found = json.loads(text) if isinstance(text, str) and text else {}
    return {str(name): str(told) for name, told in found.items()} if found else {}


def _names(facts: RunFacts, scope: str) -> Sequence[str]:
    mine = facts.metrics[facts.metrics["scope"] == scope]["metric"]
    return list(dict.fromkeys(map(str, mine)))


def _series(metrics: pd.DataFrame, scope: str, name: str) -> pd.Series[float]:
    """One metric by round."""
    mine = metrics[(metrics["scope"] == scope) & (metrics["metric"] == name)]
    return mine.set_index("round")["value"].astype(float)


def _pace(rounds: pd.DataFrame) -> str:
    return f"{glance.seconds(float(rounds['seconds_s'].median()))} a round" if len(rounds) else ""


def _commit(snapshot: object) -> str:
    """How a commit is shown; pandas has a number that is none where there is no text."""
    return snapshot[:6].lower() if isinstance(snapshot, str) else "–"
