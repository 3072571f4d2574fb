"""Versions read back from history and compared; of damaged ones, what is damaged and what is whole."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from flnb.core.errors import DamagedError, FLBaseError, NotFoundError
from flnb.store import Closing, LabStore, MakeVector, in_spans
from flnb.tensors import Layout, Model, aligned

_MODEL = ("parameters", "integers")
_NEAR = 4
"""Commits on each side that are looked at for one that is whole."""


def whole_model(
    store: LabStore, closing: Closing, layout: Layout, vector: MakeVector = aligned
) -> Model:
    """Read the model of a committed round; each chunk is compared while others are read.

    Args:
        store: The lab's store.
        closing: The round.
        layout: The model's.
        vector: Makes the arrays that it is read into.

    Raises:
        DamagedError: It is not what was committed; says which chunk of which group of which commit.
    """
    groups = _read(store, closing, _MODEL, vector)
    model = Model(layout, groups["parameters"], groups["integers"])
    if closing.sums is None:  # a commit of before: nothing in its row but this tells its chunks
        check_digest(store, closing, model)
    return model


def check_digest(store: LabStore, closing: Closing, model: Model) -> None:
    """Compare a model that was read with the digest in the row of its round.

    Raises:
        DamagedError: It is another one.
    """
    if closing.parameters_sha256 not in {None, found := model.sha256()}:
        raise DamagedError(
            f"{_named(store, closing)} is damaged: its parameters have digest {found[:12]}, "
            f"{str(closing.parameters_sha256)[:12]} was committed"
        )


def whole_optimiser(store: LabStore, closing: Closing) -> np.ndarray:
    """Read the server optimiser's packed state of a committed round.

    Raises:
        DamagedError: It is not what was committed.
    """
    return _read(store, closing, ("optimiser",))["optimiser"]


def whole_ones_near(store: LabStore, closing: Closing, layout: Layout) -> str:
    """Name the nearest commits before and after a damaged one that are whole; reads them."""
    line = store.state.line_of(closing.round_key)
    closed = store.state.rounds_of([segment.run for segment in line.segments])
    numbers = sorted(key.round for key, snapshot, _ in closed if snapshot and key in line)
    before = [number for number in reversed(numbers) if number < closing.round]
    after = [number for number in numbers if number > closing.round]
    found = []
    for side in (before, after):
        for number in side[:_NEAR]:
            near = store.state.closing_of(line.key(number))
            try:
                assert near is not None, "its round is closed"
                whole_model(store, near, layout)
            except DamagedError:
                continue
            found.append(number)
            break
    if not found:
        return "restore history/ from a copy"
    return f"the nearest that are whole are of rounds {in_spans(found)}; or restore history/ from a copy"


def _read(
    store: LabStore,
    closing: Closing,
    names: tuple[str, ...],
    vector: MakeVector = aligned,
) -> Mapping[str, np.ndarray]:
    assert closing.snapshot is not None, "what is read has a commit"
    try:
        return store.history.read(closing.snapshot, names, sums=closing.sums, vector=vector)
    except NotFoundError as error:
        if error.kind not in {"snapshot", "group"}:  # of a bucket, or of all commits: no damage
            raise
        raise DamagedError(f"{_named(store, closing)} is missing from history") from error
    except DamagedError as error:
        raise DamagedError(_within(store, closing, error)) from error


def _within(store: LabStore, closing: Closing, error: FLBaseError) -> str:
    """The same words, with the round and the run that the store does not know."""
    return error.message.replace(f"commit {closing.snapshot}", _named(store, closing), 1)


def _named(store: LabStore, closing: Closing) -> str:
    name = store.state.run(closing.run).name
    return f"commit {closing.snapshot} of round {closing.round} of {name}"
