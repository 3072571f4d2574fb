"""Checks a lab offline: every commit against its digest, and the operations log as a chain."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from flnb.core.errors import FLBaseError
from flnb.store import Closing, LabStore, RunRecord
from flnb.tensors import Layout, Model


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
            meta = store.history.meta(closing.snapshot)
            problems.extend(_wrong(store, record, closing, meta.get("round")))
            position, digest = meta.get("log") or (0, "")
            known |= {int(position): digest} if digest else {}
        except FLBaseError as error:
            problems.append(f"{_name(record, closing)}: {error.message}")
        except Exception as error:  # whatever a damaged store raises, the rest is looked at
            problems.append(f"{_name(record, closing)} cannot be read: {error}")
    if damage := store.state.log_damage(known):
        problems.append(damage)
    return Verdict(commits, len(store.state.operations()), tuple(problems))


def _wrong(store: LabStore, record: RunRecord, closing: Closing, round_: object) -> Iterator[str]:
    assert closing.snapshot is not None, "only commits are looked at"
    if round_ != closing.round:
        yield f"{_name(record, closing)} says that it is round {round_}"
    groups = store.history.read(closing.snapshot, ("parameters", "integers"))
    layout = Layout.from_json(record.layout)
    found = Model(layout, groups["parameters"], groups["integers"]).sha256()
    if found != closing.parameters_sha256:
        yield f"{_name(record, closing)} is damaged: its digest is {found[:12]}"


def _name(record: RunRecord, closing: Closing) -> str:
    return f"commit {closing.snapshot} (round {closing.round} of {record.name})"
