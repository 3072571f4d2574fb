"""Changes of rows by whoever may write: this process, or the coordinator elsewhere that holds the lab.

The database refuses rows of a process while another one holds the lab, in the transaction that would
write them. So nobody here has to know for sure who holds it: it is tried, and who is in the way is asked.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from flnb.core.clock import SYSTEM_CLOCK
from flnb.core.errors import LabHeldError, LabLostError, RoundStateError
from flnb.core.ids import RunId
from flnb.store import LabStore

if TYPE_CHECKING:
    from flnb.coordinator.lab import Lab

ASK_INTERVAL_S = 0.05
MOVED = "head moved: "
"""Begins the answer of a coordinator elsewhere that found another head."""
_PATIENCE_S = 10.0
_WITHDRAWN = "withdrawn: nobody answered"


def carry_out(
    lab: Lab,
    run: RunId,
    verb: str,
    write: Callable[[LabStore], object],
    arguments: Mapping[str, Any],
) -> None:
    """Change rows in one transaction, or have the coordinator that holds the lab do it.

    Args:
        lab: The lab.
        run: Whose rows.
        verb: What a coordinator elsewhere is asked for.
        write: Does it here.
        arguments: What it is asked with, as JSON.

    Raises:
        LabHeldError: Whoever holds the lab, in another process, does not answer.
        LabLostError: Another process has taken the lab over from the coordinator of this one.
        RoundStateError: Whoever was asked cannot; says why.
    """
    try:
        write(lab.store)
    except (LabHeldError, LabLostError):
        if lab.coordinator is not None:  # which is about to stop itself
            raise
    else:
        return
    if not alone(lab.store, verb, write):
        ask(lab, run, verb, arguments, patience_s=_PATIENCE_S)


def ask(
    lab: Lab,
    run: RunId,
    verb: str,
    arguments: Mapping[str, Any],
    *,
    patience_s: float | None = None,
) -> str:
    """Ask the coordinator that holds the lab, in another process; returns what it answers.

    Args:
        lab: The lab.
        run: What it is about.
        verb: What is wanted.
        arguments: More about it, as JSON.
        patience_s: Take it back after so long; None waits for as long as somebody holds the lab.

    Raises:
        LabHeldError: Nobody answered for so long.
        RoundStateError: It cannot, or ends meanwhile; says why.
    """
    state = lab.store.state
    asked, began_s = state.enqueue_command(run, verb, arguments), SYSTEM_CLOCK.monotonic_s()
    while (answer := state.command(asked.id).result) is None:
        if (holder := lab.store.holder) is None:
            raise RoundStateError(
                "the coordinator that holds the lab ended before it answered", hint="try again"
            )
        silent_s = SYSTEM_CLOCK.monotonic_s() - began_s
        if patience_s is not None and silent_s > patience_s:
            if state.withdraw_command(asked.id, _WITHDRAWN):
                since = f"{holder.since:%Y-%m-%d %H:%M:%S}"
                error = LabHeldError(lab.address, f"{holder}, silent for {silent_s:.0f} s", since)
                error.hint = f"{verb} was taken back; see what that process does, then try again"
                raise error
            continue
        time.sleep(ASK_INTERVAL_S)
    if answer == "done" or answer.startswith(MOVED):
        return answer
    raise RoundStateError(f"the coordinator that holds the lab says: {answer}")


def alone(store: LabStore, why: str, write: Callable[[LabStore], object]) -> bool:
    """Write under a lease of this process; whoever has the lab for such a moment is waited for.

    Returns:
        Whether it was written; False as soon as a coordinator holds the lab.

    Raises:
        LabHeldError: Somebody else has held it for too long.
    """
    give_up_s = SYSTEM_CLOCK.monotonic_s() + _PATIENCE_S
    while (holder := store.holder) is None or holder.who != "coordinator":
        try:
            lease = store.lease(why)
        except LabHeldError:
            if SYSTEM_CLOCK.monotonic_s() > give_up_s:
                raise
            time.sleep(ASK_INTERVAL_S)
            continue
        with lease:
            write(store)
        return True
    return False
