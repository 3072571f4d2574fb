"""What a run, or a branch of one, can be called."""

from __future__ import annotations

from flnb.core.errors import PlanError

_LONGEST = 100
"""A branch goes by both names and a sign between them, and its rounds by 65 more; addresses have room for 300."""


def check_part(name: str, what: str) -> None:
    """Find out whether a name is plain and not too long; whether it is taken is another question.

    Args:
        name: Of a run without its branch, or of a branch without its run.
        what: Which of them.

    Raises:
        PlanError: It cannot be one.
    """
    if len(name) > _LONGEST:
        raise PlanError(
            f"a {what}'s name has at most {_LONGEST} characters; {name[:20]!r}… has {len(name)}",
            hint="choose a shorter one: the plan says the settings",
        )
    if not name.replace("-", "").replace("_", "").replace(".", "").isalnum():
        raise PlanError(f"a {what}'s name has letters, digits, '-', '_' and '.', got {name!r}")
