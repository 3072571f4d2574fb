"""A run at a glance: the words and numbers that every face shows.

The live frame of a notebook, the table of a terminal and the lines of a log differ in how they
draw, never in what they say; what they say is here. Nothing here does I/O.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from flnb.core.view import RoundRow, RunView

_BLOCKS = "▁▂▃▄▅▆▇█"
_SHORT = {"auc", "roc", "f1", "mse", "rmse", "mae", "nll", "iou", "mrr", "bleu", "r2"}
"""What a field writes in capitals."""


@dataclass(frozen=True, slots=True)
class Mark:
    """How a state looks: a shape, a word and a colour, so that none of them is needed alone."""

    shape: str
    word: str
    colour: str
    """Hex; about equally far from white and from #111 (contrast over 4 on both)."""


_MARKS = {
    mark.word: mark
    for mark in (
        Mark("●", "running", "#2b8a3e"),
        Mark("◔", "waiting", "#b06a00"),
        Mark("◐", "pausing", "#b06a00"),
        Mark("◐", "paused", "#b06a00"),
        Mark("▲", "late", "#b06a00"),
        Mark("◌", "interrupted", "#b06a00"),
        Mark("✕", "failed", "#dd3b3b"),
        Mark("⊘", "refused", "#dd3b3b"),
        Mark("■", "stopping", "#777777"),
        Mark("■", "stopped", "#777777"),
        Mark("✓", "finished", "#2b8a3e"),
    )
}


def mark(state: str) -> Mark:
    """Look up how a state looks; an unknown one is shown as a plain dot and its own word."""
    return _MARKS.get(str(state), Mark("·", str(state), "#777777"))


def number(value: float) -> str:
    """Write a measured value for a table: three decimals, or three digits when it is far from one.

    Examples:
        >>> number(0.91349), number(1234567.0), number(0.0000123), number(float("nan"))
        ('0.913', '1.23e+06', '1.23e-05', '–')
    """
    if math.isnan(value):
        return "–"
    return f"{value:.3f}" if value == 0 or 1e-3 <= abs(value) < 1e4 else f"{value:.3g}"


def seconds(value: float) -> str:
    """Write a length of time with its unit.

    Examples:
        >>> seconds(0.0123), seconds(1.07), seconds(470), seconds(9000)
        ('12 ms', '1.1 s', '7 min 50 s', '2 h 30 min')
    """
    if value < 0.9995:
        return f"{value * 1e3:.0f} ms"
    if value < 59.95:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"


def size(n_bytes: float) -> str:
    """Write an amount of bytes with its unit, in powers of 1000.

    Examples:
        >>> size(0), size(999), size(310_000), size(812_000_000)
        ('0 B', '999 B', '310 kB', '812 MB')
    """
    value, units = float(n_bytes), ["B", "kB", "MB", "GB", "TB"]
    while value >= 999.5 and len(units) > 1:
        value /= 1000
        units.pop(0)
    return (
        f"{value:.0f} {units[0]}" if units[0] == "B" or value >= 100 else f"{value:.3g} {units[0]}"
    )


def count(amount: int, noun: str) -> str:
    """Write how many there are of something, whose plural takes an s.

    Examples:
        >>> count(1, "client"), count(1200, "client")
        ('1 client', '1,200 clients')
    """
    return f"{amount:,} {noun}" if amount == 1 else f"{amount:,} {noun}s"


def spans(numbers: Iterable[int], between: str = ", ") -> str:
    """Write numbers of rounds, those in a row together.

    Examples:
        >>> spans([3, 1, 2, 7])
        '1–3, 7'
    """
    rows: list[list[int]] = []
    for one in sorted(numbers):
        if rows and one == rows[-1][-1] + 1:
            rows[-1].append(one)
        else:
            rows.append([one])
    return between.join(f"{row[0]}–{row[-1]}" if len(row) > 1 else f"{row[0]}" for row in rows)


def words(name: str) -> str:
    """Write the name of a metric as its field does.

    Examples:
        >>> words("macro_f1"), words("best_auc"), words("training_loss")
        ('macro F1', 'best AUC', 'training loss')
    """
    return " ".join(word.upper() if word in _SHORT else word for word in name.split("_"))


def sentence(name: str) -> str:
    """Write the name of a metric as a sentence begins.

    Examples:
        >>> sentence("macro_f1"), sentence("auc"), sentence("")
        ('Macro F1', 'AUC', '')
    """
    text = words(name)
    return text[:1].upper() + text[1:]


def bar(done: int, total: int, width: int = 20) -> str:
    """Draw progress as text.

    Examples:
        >>> bar(42, 100)
        '▓▓▓▓▓▓▓▓░░░░░░░░░░░░'
    """
    full = min(width, max(0, width * done // total)) if total else 0
    return "▓" * full + "░" * (width - full)


def spark(values: Iterable[float], width: int = 16) -> str:
    """Draw a curve as a line of block characters, its values thinned to `width`.

    Examples:
        >>> spark([0.1, 0.5, 0.9])
        '▁▅█'
    """
    finite = thin([value for value in values if math.isfinite(value)], width)
    if not finite:
        return ""
    low, high = min(finite), max(finite)
    scale = (len(_BLOCKS) - 1) / (high - low) if high > low else 0.0
    return "".join(_BLOCKS[round((value - low) * scale)] for value in finite)


def thin(values: Sequence[float], most: int) -> list[float]:
    """Take at most so many of the values, evenly spaced, the first and the last among them."""
    if len(values) <= most:
        return list(values)
    step = (len(values) - 1) / (most - 1)
    return [values[round(index * step)] for index in range(most)]


def columns(view: RunView) -> tuple[str, ...]:
    """Names of the metrics to show, the headline first; at most four."""
    found = dict.fromkeys(name for row in view.rows for name in row.metrics)
    first = [view.headline] if view.headline in found else []
    return tuple([*first, *(name for name in found if name != view.headline)][:4])


def cells(row: RoundRow, metrics: Sequence[str]) -> tuple[str, ...]:
    """One closed round as the cells of a table: round, metrics, used, unused, time, commit.

    Unused is what came and could not be used: updates that were refused, and clients that failed.
    """
    return (
        str(row.round),
        *(number(row.metrics.get(name, math.nan)) for name in metrics),
        f"{row.accepted}/{row.invited}",
        str(row.refused) if row.refused else "·",
        seconds(row.seconds),
        row.commit or "·",
    )


def heading(metrics: Sequence[str]) -> tuple[str, ...]:
    """Heads of the columns that `cells` fills."""
    return (
        "round",
        *(words(name) for name in metrics),
        "used",
        "unused",
        "time",
        "commit",
    )


def pace(view: RunView) -> str:
    """How fast the run goes and how long it still needs; empty before the first round."""
    if not view.seconds_a_round:
        return ""
    speed = f"{seconds(view.seconds_a_round)}/round"
    return speed if view.status.over else f"{speed} · {seconds(view.left_s)} left"


def awaited(awaited: int, here: int) -> str:
    """Write how many clients a run waits for, and how many of them are here.

    Examples:
        >>> awaited(3, 1)
        '3 clients, 1 here'
    """
    return f"{count(awaited, 'client')}, {here} here"


def state(view: RunView) -> str:
    """What a run is doing in words, and what it waits for."""
    word = mark(view.status).word
    return f"{word} for {awaited(view.awaited, view.here)}" if view.awaits else word


def clients(view: RunView) -> str:
    """What became of the clients of the open round, or for how many the next one waits."""
    if view.status.over or not (view.invited or view.awaited):
        return ""
    if view.awaited:
        return f"waiting for {view.awaited}, {view.here} here"
    busy = view.invited - view.accepted - view.refused - view.lost
    parts = [f"{view.accepted}/{view.invited} in", f"{busy} training"]
    parts += [f"{view.refused} unused"] if view.refused else []
    parts += [f"{view.lost} lost"] if view.lost else []
    return " · ".join(parts)


def headline(view: RunView) -> str:
    """The run in one line, as a repr and as the plain text of a frame."""
    parts = [
        f"{view.name} · {view.branch} · {mark(view.status).shape} {state(view)}",
        f"round {view.round}/{view.rounds}",
    ]
    if view.curve and view.headline:
        parts.append(f"{view.headline} {number(view.curve[-1][1])}")
    return " · ".join(parts)
