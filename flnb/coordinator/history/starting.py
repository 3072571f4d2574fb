"""A model from elsewhere as the version before the first round: read, checked, committed, read again."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float32

from flnb.coordinator.closer import Version, commit_facts
from flnb.coordinator.history.checkpoint import Checkpoint
from flnb.core.errors import DamagedError, DataError, NotFoundError, PlanError, TaskError
from flnb.core.ids import which_of
from flnb.core.plan import Plan
from flnb.store import Closing, LabStore, RunRecord
from flnb.tensors import Layout, Model, aligned

if TYPE_CHECKING:
    from torch import Tensor

    from flnb.coordinator.lab import Lab

Start = str | Path | Mapping[str, Any] | Checkpoint
"""A file of tensors, `RUN@CKPT`, a state dict, or a checkpoint."""
_MOST = 6
"""Tensors that an error names."""
_SAFE = ".safetensors"
_TORCH = (b"PK", b"\x80")
"""How a file begins that torch has saved: as an archive, or as a pickle."""


@dataclass(frozen=True, slots=True)
class Beginning:
    """A model that a run starts from, and where it comes from."""

    model: Model
    source: str
    """For people: a file's path, a checkpoint's run and round, or `a state dict`."""
    file_sha256: str
    """Digest of the file; empty for what came from memory or from a lab."""


def begin_from(lab: Lab, start: Start, layout: Layout) -> Beginning:
    """Read what a run should start from.

    Args:
        lab: Where `RUN@CKPT` is looked up, such as `quiet-otter@best` or `quiet-otter@30`.
        start: What it is.
        layout: Of the task's model, which it must fit.

    Raises:
        TaskError: Its tensors are others; all that are missing, too many or of another shape or
            dtype are named.
        DataError: The file cannot be read, or holds more than tensors.
        NotFoundError: There is no such file, run or checkpoint.
    """
    if isinstance(start, Mapping):
        return Beginning(_model_of(start, layout, "the state dict"), "a state dict", "")
    start = located(lab, start)
    if isinstance(start, Checkpoint):
        source = f"round {start.round} of {start.name}"
        if reason := layout.differs_from(start.layout):
            raise TaskError(f"{source} is not of this task: {reason}")
        return Beginning(start.model(), source, "")
    with start.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Beginning(_model_of(_tensors_in(start), layout, str(start)), str(start), digest)


def check_same_start(lab: Lab, record: RunRecord, start: Start | None, layout: Layout) -> None:
    """See that a run was begun from what it would be begun from now.

    Args:
        lab: Where `RUN@CKPT` is looked up.
        record: The run's row.
        start: What it would begin from; None is the first version that its plan's seed names.
        layout: Of the task's model.

    Raises:
        PlanError: It was begun from another model; says which, and which it would be now.
        TaskError: `start` does not fit the task's model.
        DataError: Its file cannot be read, or holds more than tensors.
        NotFoundError: There is no such file, run or checkpoint.
    """
    was = record.start or {}
    if was and _is_known(lab, was, start):
        return
    now = begin_from(lab, start, layout) if start is not None else None
    digest = now.model.sha256() if now is not None else None
    if digest == was.get("sha256"):
        return
    seed = "the model that its seed names"
    before = f"{was['source']} (sha256 {was['sha256'][:12]})" if was else seed
    wanted = f"{now.source} (sha256 {digest[:12]})" if now is not None and digest else seed
    raise PlanError(
        f"run {record.name!r} was begun from {before}, and would be from {wanted}",
        hint="a cell that is executed again goes on with its run: give the recipe the start of before, "
        "or begin the study anew under another name",
    )


def _is_known(lab: Lab, was: Mapping[str, Any], start: Start | None) -> bool:
    """Whether digests that are at hand say that it is the start of before; no tensor is read."""
    if start is None or isinstance(start, Mapping):
        return False
    found = located(lab, start)
    if isinstance(found, Checkpoint):
        return bool(found.sha256 == was["sha256"])
    with found.open("rb") as file:
        return bool(hashlib.file_digest(file, "sha256").hexdigest() == was["file_sha256"])


def located(lab: Lab, start: str | Path | Checkpoint) -> Path | Checkpoint:
    """Look up what a run should start from, and read nothing of it.

    Raises:
        NotFoundError: There is no such file, run or checkpoint.
    """
    if isinstance(start, Checkpoint):
        return start
    if isinstance(start, str) and not Path(start).exists() and "@" in start:
        name, _, which = start.rpartition("@")
        return lab.run(name).checkpoint(which_of(which))
    if not Path(start).is_file():
        raise NotFoundError("file of tensors, or RUN@CKPT,", start)
    return Path(start)


def commit_start(
    store: LabStore, record: RunRecord, plan: Plan, start: Beginning
) -> tuple[RunRecord, Version]:
    """Make a model the version before the first round: a commit of its own, which says where from.

    A crash before the run's row is written leaves a commit that nobody looks for.

    Returns:
        The run's row, which names the commit, and the version.
    """
    digest = start.model.sha256()
    version = _version(plan, start.model)
    told = {"source": start.source, "file_sha256": start.file_sha256, "sha256": digest}
    facts = commit_facts(record) | {"branch": record.branch, "generation": 1, "round": 0}
    facts |= {"sha256": digest, "start": told, "log": store.state.signed_log_head()}
    snapshot = store.writer.submit(record.id, version.groups(), facts).wait()
    store.writer.keep(f"{record.id}.start", snapshot)
    return replace(record, start=told | {"snapshot": snapshot}), version


def started_version(store: LabStore, record: RunRecord, plan: Plan, layout: Layout) -> Version:
    """Read the version again that a run started from.

    Raises:
        DamagedError: It is not what was committed.
    """
    return _version(plan, started_model(store, record, layout))


def started_model(store: LabStore, record: RunRecord, layout: Layout) -> Model:
    """The model that a run started from.

    Raises:
        DamagedError: It is not what was committed.
    """
    snapshot, expected = record.start["snapshot"], record.start["sha256"]
    what = f"commit {snapshot}, from which {record.name} started,"
    hint = f"restore history/ from a copy, or start a new run from {record.start['source']}"
    try:
        groups = store.history.read(snapshot, ("parameters", "integers"))
    except (DamagedError, NotFoundError) as error:
        raise DamagedError(f"{what} is damaged: {error.message}", hint=hint) from error
    model = Model(layout, groups["parameters"], groups["integers"])
    if (found := model.sha256()) != expected:
        raise DamagedError(
            f"{what} has digest {found[:12]}, {expected[:12]} was written", hint=hint
        )
    return model


def as_closing(record: RunRecord) -> Closing:
    """The version that a run started from, as the round 0 that it never had."""
    return Closing(
        run=record.id,
        branch=record.branch,
        round=0,
        closed_by="start",
        opened_at=record.created_at,
        closed_at=record.created_at,
        snapshot=record.start["snapshot"],
        parameters_sha256=record.start["sha256"],
        metrics={"scope": [], "metric": [], "value": []},
    )


def in_words(record: RunRecord) -> str:
    """Where a run started from; empty if its seed says so."""
    if not record.start:
        return ""
    digest = record.start["file_sha256"] or record.start["sha256"]
    return f"starts from {record.start['source']} (sha256 {digest[:12]})"


def _version(plan: Plan, model: Model) -> Version:
    return Version(0, model, plan.strategy.compose().server.init(model.layout))


def _tensors_in(path: Path) -> Mapping[str, Any]:
    import torch

    hint = f"save it with safetensors ({_SAFE}), or with torch.save(module.state_dict(), …)"
    with path.open("rb") as file:
        if path.suffix != _SAFE and not file.read(2).startswith(_TORCH):
            raise DataError(f"{path} is no file of tensors", hint=hint)
    try:
        if path.suffix == _SAFE:
            from safetensors.torch import load_file

            return load_file(path)
        # Nothing but tensors and plain containers: a pickle could run anything.
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a file that is something else leads to
        raise DataError(
            f"{path} cannot be read as tensors: {str(error).strip().splitlines()[0]}", hint=hint
        ) from error
    if not isinstance(found, Mapping):
        raise DataError(f"{path} holds a {type(found).__name__}, and no state dict")
    return found


def _model_of(tensors: Mapping[str, Any], layout: Layout, source: str) -> Model:
    import torch

    given = {name: _tensor(name, value, source) for name, value in tensors.items()}
    wanted = {slot.name: slot for slot in layout.slots}
    places = {one.data_ptr() for name, one in given.items() if name in wanted and one.numel()}
    missing = [f"{name} {slot}" for name, slot in wanted.items() if name not in given]
    extra = [
        f"{name} {_described(one)}"
        for name, one in given.items()
        if name not in wanted and one.data_ptr() not in places  # tied weights have several names
    ]
    other = [
        f"{name} is {_described(given[name])}, expected {slot}"
        for name, slot in wanted.items()
        if name in given and _described(given[name]) != str(slot).rpartition(" (")[0]
    ]
    if missing or extra or other:
        words = {"missing": missing, "not in the model": extra, "of another kind": other}
        told = "; ".join(f"{word}: {_some(names)}" for word, names in words.items() if names)
        raise TaskError(f"{source} does not fit the task's model: {told}")
    values, integers = aligned(layout.n_values, np.float32), aligned(layout.n_integers, np.int64)
    for slot in layout.slots:
        wide = given[slot.name].detach().to(torch.float32 if slot.floating else torch.int64)
        slot.view(values if slot.floating else integers)[...] = wide.cpu().numpy()
    _check_numbers(layout, values, source)
    return Model(layout, values, integers)


def _check_numbers(layout: Layout, values: Float32[np.ndarray, " n"], source: str) -> None:
    """Refuse what nothing can be learned from; a buffer may be infinite, such as a mask of attention."""
    for slot in layout.slots:
        if not slot.floating or np.isfinite(numbers := slot.view(values)).all():
            continue
        if slot.kind == "parameter" or np.isnan(numbers).any():
            raise TaskError(f"{source} holds values that are not finite: in {slot.name}")


def _tensor(name: str, value: object, source: str) -> Tensor:
    import torch

    if isinstance(value, np.ndarray):
        return torch.from_numpy(value)
    if not isinstance(value, torch.Tensor):
        raise TaskError(
            f"{source}: {name!r} is a {type(value).__name__}, and no tensor",
            hint="give module.state_dict()",
        )
    return value


def _described(tensor: Tensor) -> str:
    """As `str(slot)`, without its kind."""
    return f"{str(tensor.dtype).removeprefix('torch.')}[{', '.join(map(str, tensor.shape))}]"


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _MOST} more" if len(names) > _MOST else ""
    return ", ".join(names[:_MOST]) + more
