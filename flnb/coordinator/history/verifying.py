"""Checks a lab offline: every commit against its digest, and the operations log as a chain."""

from __future__ import annotations

from dataclasses import dataclass

from flnb.coordinator.history.reading import whole_model, whole_optimiser
from flnb.core.errors import FLBaseError
from flnb.store import Closing, LabStore, RunRecord
from flnb.tensors import Layout


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was looked at, and what is wrong."""

    commits: int
    operations: int
    problems: tuple[str, ...]


def verify(store: LabStore) -> Verdict:
    """Read every commit of a lab and compare it with its rows; takes as long as reading the disk.

    Found are commits that are missing or changed, commits that say another round of themselves, and
    operations that were changed, taken out, or cut off after a commit was made.
    """
    records = {record.id: record for record in store.state.runs()}
    problems, known, commits = list[str](), dict[int, str](), 0
    for closing in store.state.closings():
        if closing.snapshot is None:
            continue
        commits += 1
        record = records[closing.run]
        try:
            layout = Layout.from_json(record.layout)
            whole_model(store, closing, layout)
            whole_optimiser(store, closing)
            meta = store.history.meta(closing.snapshot)
            if (round_ := meta.get("round")) != closing.round:
                problems.append(f"{_name(record, closing)} says that it is round {round_}")
            position, digest = meta.get("log") or (0, "")
            known |= {int(position): digest} if digest else {}
        except FLBaseError as error:
            problems.append(error.message)
        except Exception as error:  # whatever a damaged store raises, the rest is looked at
            problems.append(f"{_name(record, closing)} cannot be read: {error}")
    if damage := store.state.log_damage(known):
        problems.append(damage)
    return Verdict(commits, len(store.state.operations()), tuple(problems))


def _name(record: RunRecord, closing: Closing) -> str:
    return f"commit {closing.snapshot} (round {closing.round} of {record.name})"
