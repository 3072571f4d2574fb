"""Which of several kinds of answer somebody wants: the header `Accept`."""

from __future__ import annotations

from collections.abc import Sequence


def best_of(accept: str, kinds: Sequence[str]) -> str | None:
    """The kind that is wanted most; None if none of them is.

    Examples:
        >>> best_of("text/csv;q=0.9, */*;q=0.1", ("application/json", "text/csv"))
        'text/csv'
        >>> best_of("*/*", ("application/json", "text/csv"))
        'application/json'
        >>> best_of("image/png", ("application/json",)) is None
        True
    """
    wanted = [_read(part) for part in accept.split(",") if part.strip()]
    scored = [
        (max((weight for name, weight in wanted if _fits(name, kind)), default=0.0), kind)
        for kind in kinds
    ]
    weight, best = max(scored, key=lambda pair: pair[0])
    return best if weight > 0 else None


def _read(part: str) -> tuple[str, float]:
    name, *more = (word.strip().lower() for word in part.split(";"))
    for word in more:
        if word.startswith("q="):
            try:
                return name, float(word[2:])
            except ValueError:
                return name, 0.0
    return name, 1.0


def _fits(name: str, kind: str) -> bool:
    return name in {"*/*", kind} or (name.endswith("/*") and kind.startswith(name[:-1]))
