"""Checks a lab offline: every commit against its digest, and the operations log as a chain."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from flnb.coordinator.history.reading import check_digest, whole_model, whole_optimiser
from flnb.coordinator.history.starting import started_model
from flnb.core.errors import FLBaseError
from flnb.store import Closing, LabStore, RunRecord, is_signed
from flnb.tensors import Layout

_PERSON = ("client", "weight")
_MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was looked at, and what is wrong."""

    commits: int
    operations: int
    problems: tuple[str, ...]
    key: str
    """The public key (hexadecimal) that the log is signed with; empty if it never was."""


def verify(store: LabStore, key: str = "") -> Verdict:
    """Read every commit of a lab and compare it with its rows; takes as long as reading the disk.

    Found are commits that are missing or changed, commits that say another round of themselves or other
    participants than their rows, and operations that were changed, taken out, or cut off after a commit was made; and a log that was
    signed with another key than the lab's.

    Args:
        store: The lab's store.
        key: The public key as it was noted elsewhere; compared with the lab's.
    """
    public = store.state.log_key()
    records = {record.id: record for record in store.state.runs()}
    problems, known, commits = list[str](), dict[int, str](), 0
    for closing in store.state.closings():
        if closing.snapshot is None:
            continue
        commits += 1
        record = records[closing.run]
        try:
            problems.extend(_wrong(store, record, closing, known))
        except FLBaseError as error:
            problems.append(error.message)
        except Exception as error:  # whatever a damaged store raises, the rest is looked at
            problems.append(f"{_name(record, closing)} cannot be read: {error}")
    problems += [wrong for record in records.values() for wrong in _wrong_start(store, record)]
    problems += filter(None, (store.state.log_damage(known), _wrong_key(store, public, key)))
    n_operations = len(store.state.operations())
    return Verdict(commits, n_operations, tuple(problems), (public or b"").hex())


def _wrong(
    store: LabStore, record: RunRecord, closing: Closing, known: dict[int, str]
) -> Iterator[str]:
    """What is wrong with a commit; the operation that it names goes into `known`."""
    assert closing.snapshot is not None, "only commits are looked at"
    model = whole_model(store, closing, Layout.from_json(record.layout))
    check_digest(store, closing, model)
    whole_optimiser(store, closing)
    meta = store.history.meta(closing.snapshot)
    if (round_ := meta.get("round")) != closing.round:
        yield f"{_name(record, closing)} says that it is round {round_}"
    if differs := _other_people(closing, meta):
        yield f"{_name(record, closing)} {differs}"
    position, digest, *signature = meta.get("log") or (0, "")
    if digest:
        known[int(position)] = digest
    public = store.state.log_key() or b""
    if any(signature) and not is_signed(public, digest, bytes.fromhex(signature[0])):
        yield f"{_name(record, closing)} carries a log of another key"


def _other_people(closing: Closing, meta: Mapping[str, Any]) -> str:
    """How those of whom a commit was made differ from those that its row names; empty if they do not."""
    if (said := meta.get("participants")) is None:
        return ""  # of before commits named them
    updates = closing.updates
    used = np.asarray(updates["accepted"], bool)
    row = set(zip(*(np.asarray(updates[one])[used].tolist() for one in _PERSON), strict=True))
    commit = set(zip(*(said[one] for one in _PERSON), strict=True))
    if row == commit:
        return ""
    return f"was made of {_people(commit - row)}, where its row names {_people(row - commit)}"


def _people(some: Iterable[tuple[str, float]]) -> str:
    told = [f"{client} (weight {weight:g})" for client, weight in sorted(some)]
    more = [f"{len(told) - _MOST_NAMED} more"] if len(told) > _MOST_NAMED else []
    return ", ".join([*told[:_MOST_NAMED], *more]) or "nobody else"


def _wrong_start(store: LabStore, record: RunRecord) -> list[str]:
    if not record.start:
        return []
    try:
        started_model(store, record, Layout.from_json(record.layout))
    except FLBaseError as error:
        return [error.message]
    return []


def _wrong_key(store: LabStore, public: bytes | None, noted: str) -> str:
    if noted and noted.lower() != (public or b"").hex():
        return f"the log is signed with key {(public or b'').hex() or 'none'}, not with {noted}"
    try:
        own = store.log_key.public
    except (OSError, FLBaseError):
        return ""  # whoever checks need not have the secret
    if public not in {None, own}:
        return "the lab's public key is not that of its secret: it was exchanged"
    return ""


def _name(record: RunRecord, closing: Closing) -> str:
    return f"commit {closing.snapshot} (round {closing.round} of {record.name})"
