"""What a run does whose last commit is damaged: it says so, and goes on from the commit before."""

from __future__ import annotations

import logging
import warnings

from flnb.coordinator.acting import request
from flnb.core.errors import DamagedError, RoundStateError
from flnb.store import Head, LabStore, RunRecord

log = logging.getLogger(__name__)


def check_base(store: LabStore, record: RunRecord, head: Head) -> None:
    """Refuse to go on where the commit that a branch stands on was given up, or made again otherwise.

    Raises:
        DamagedError: It was; says how to go on.
        RoundStateError: It is another model now; says how to go on.
    """
    after = store.state.line(record.id).newest.after
    closing, round_number = head.closing, head.closing.round if head.closing else 0
    if round_number > after or not after:
        return  # it goes on from a commit of its own, or from the first version
    (row,) = (
        one for one in store.state.generations(record.id) if one.generation == record.generation
    )
    base = row.base
    assert base is not None, "a generation after a round stands on it"
    owner = store.state.run(base.run).name
    if closing is not None and round_number == after:
        if row.base_sha256 in (None, closing.parameters_sha256):
            return
        raise RoundStateError(
            f"{record.name} stands on round {base.round} of {owner}, which was made again since and came "
            "out otherwise",
            hint=f"lab.run({record.name!r}).rollback(to='@head') takes it as it is now",
        )
    raise DamagedError(
        f"{record.name} stands on round {base.round} of {owner}, whose commit was given up",
        hint=f"lab.resume({owner!r}) may make it again; lab.run({record.name!r}).rollback"
        f"(to={base.round - 1}) goes on from the commit before",
    )


def fall_back(store: LabStore, record: RunRecord, head: Head, damage: DamagedError) -> None:
    """Give the last commit of a branch up, so that the one before is the last; never silently.

    The operations log keeps it, `run.history.df()` shows it, and whoever resumes the run is warned. The
    rounds since the commit before are run again, with the same result if the same clients take part.

    Args:
        store: The lab's store; this process holds the lab.
        record: The branch.
        head: Where it is; its commit is damaged.
        damage: What was found.

    Raises:
        DamagedError: The commit belongs to what the branch stands on, which nobody may change for it.
    """
    closing = head.closing
    assert closing is not None, "what is damaged is a commit"
    if (closing.run, closing.generation) != (record.id, record.generation):
        damage.hint = (
            f"{record.name} stands on it: lab.run({record.name!r}).rollback(to={closing.round - 1}) goes on "
            "from the commit before; or restore history/ from a copy"
        )
        raise damage
    store.state.drop_damaged(closing.round_key, request(damage.message))
    before = store.state.head(record.id).closing
    since = before.round if before else 0
    place = f"the commit of round {since}" if before else "the beginning"
    told = (
        f"{damage.message}; {record.name} goes on from {place}, "
        f"rounds {since + 1} to {head.round} are run again"
    )
    log.warning(told)
    warnings.warn(told, stacklevel=5)
