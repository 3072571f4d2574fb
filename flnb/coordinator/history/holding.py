"""Changes of rows by whoever may write: this process, or the coordinator elsewhere that holds the lab.

The database refuses rows of a process while another one holds the lab, in the transaction that would
write them. So nobody here has to know for sure who holds it: it is tried, and who is in the way is asked.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from flnb.core.clock import SYSTEM_CLOCK
from flnb.core.errors import LabHeldError, LabLostError, RoundStateError
from flnb.core.ids import RunId
from flnb.store import OF_THE_LAB, Command, Holder, LabStore

if TYPE_CHECKING:
    from flnb.coordinator.lab import Lab

ASK_INTERVAL_S = 0.05
MOVED = "head moved: "
"""Begins the answer of a coordinator elsewhere that found another head."""
LONG_S = 600.0
"""How much longer is waited for what may take long once it has begun: a roll back gives a round up
first, and letting commits go walks all objects. Whoever stands still then is not waited for without end."""
_PATIENCE_S = 10.0
_LONGER_S: ContextVar[float] = ContextVar("flnb_longer_s", default=LONG_S)
"""The most of that where somebody else waits for a thread that would wait here."""
_WITHDRAWN = "withdrawn: nobody answered"


def carry_out(
    lab: Lab,
    run: RunId,
    verb: str,
    write: Callable[[LabStore], object],
    arguments: Mapping[str, Any],
) -> None:
    """Change rows in one transaction, or have the coordinator do it that holds the lab, or has the run.

    Args:
        lab: The lab.
        run: Whose rows.
        verb: What a coordinator elsewhere is asked for.
        write: Does it here.
        arguments: What it is asked with, as JSON.

    Raises:
        LabHeldError: Whoever holds the lab or has the run, in another process, does not answer.
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
    # Where nobody holds the lab a guest is asked: who takes a lab that was not let go in order ends guests.
    if lab.store.guest_elsewhere(run) is not None or not alone(lab.store, verb, write):
        ask(lab, run, verb, arguments)


def ask(
    lab: Lab, run: RunId, verb: str, arguments: Mapping[str, Any], *, longer_s: float = 0.0
) -> str:
    """Ask the coordinator that holds the lab, in another process; returns what it answers.

    Args:
        lab: The lab.
        run: What it is about.
        verb: What is wanted.
        arguments: More about it, as JSON.
        longer_s: How much longer is waited for what has begun.

    Raises:
        LabHeldError: It does not answer; says whether what was asked is taken back, or goes on.
        RoundStateError: It cannot, or ends meanwhile; says why.
    """
    state, began_s = lab.store.state, SYSTEM_CLOCK.monotonic_s()
    asked = state.enqueue_command(run, verb, arguments)
    answer = _awaited(lab, asked, _PATIENCE_S)
    if answer is None and state.withdraw_command(asked.id, _WITHDRAWN):
        taken_back = f"{verb} was taken back; see what it does, then try again"
        raise _unanswered(lab, asked, began_s, taken_back)
    if answer is None:
        answer = _awaited(lab, asked, min(longer_s, _LONGER_S.get()))
    if answer is None:
        goes_on = f"{verb} has begun there and goes on; look what came of it before you try again"
        raise _unanswered(lab, asked, began_s, goes_on)
    if answer == "done" or answer.startswith(MOVED):
        return answer
    raise RoundStateError(f"the coordinator that was asked says: {answer}")


@contextmanager
def longer_at_most(longer_s: float) -> Iterator[None]:
    """Wait no longer meanwhile for what another process has begun; then it is said that it goes on there.

    Args:
        longer_s: How long, after the seconds in which it must have begun.
    """
    before = _LONGER_S.set(longer_s)
    try:
        yield
    finally:
        _LONGER_S.reset(before)


def _asked(lab: Lab, command: Command) -> Holder | None:
    """The process that is asked, if it is still there."""
    if command.verb in OF_THE_LAB:
        return lab.store.holder
    return lab.store.in_charge(lab.store.state.run(command.run))


def _awaited(lab: Lab, command: Command, patience_s: float) -> str | None:
    """The answer to a command; None if there is none for so long."""
    give_up_s = SYSTEM_CLOCK.monotonic_s() + patience_s
    while (answer := lab.store.state.command(command.id).result) is None:
        if _asked(lab, command) is None:
            raise RoundStateError(
                "the coordinator that was asked ended before it answered", hint="try again"
            )
        if SYSTEM_CLOCK.monotonic_s() > give_up_s:
            break
        time.sleep(ASK_INTERVAL_S)
    return answer


def _unanswered(lab: Lab, command: Command, began_s: float, what_now: str) -> LabHeldError:
    holder, waited_s = _asked(lab, command), SYSTEM_CLOCK.monotonic_s() - began_s
    since = f"{holder.since:%Y-%m-%d %H:%M:%S} UTC" if holder else "just now"
    error = LabHeldError(lab.address, str(holder or "another process"), since)
    error.hint = f"it has not answered for {waited_s:.0f} s: {what_now}"
    return error


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
