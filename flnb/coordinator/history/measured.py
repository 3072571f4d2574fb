"""What was measured in the rounds that lead to one, as conditions name it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from flnb.store import Closing, LabStore, RoundKey

_FURTHER = 20
"""Rounds that are looked at for one measurement of a metric, if it is not measured in each."""


def measurements(closing: Closing) -> Iterator[tuple[str, float]]:
    """Names and values of one round: central ones bare, others as `training.loss`."""
    columns = closing.metrics
    rows = zip(columns["scope"], columns["metric"], columns["value"], strict=True)
    for scope, name, value in rows:
        yield str(name) if scope == "central" else f"{scope}.{name}", float(value)


def series_until(
    store: LabStore, key: RoundKey, names: Sequence[str], window: int
) -> dict[str, list[float]]:
    """The last measurements of some metrics on the line of a round, oldest first.

    Args:
        store: The lab's store.
        key: The round; what was measured in it comes last.
        names: The metrics.
        window: How many measurements of each are wanted; there may be fewer.
    """
    line = store.state.line_of(key)
    found: dict[str, list[float]] = {name: [] for name in names}
    for number in range(key.round, max(0, key.round - window * _FURTHER), -1):
        at = key if number == key.round else line.key(number)
        if (closing := store.state.closing_of(at)) is not None:
            for name, value in measurements(closing):
                if name in found:
                    found[name].append(value)
        if all(len(values) >= window for values in found.values()):
            break
    return {name: values[:window][::-1] for name, values in found.items()}
