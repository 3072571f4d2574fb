"""A checkpoint: one committed round, to look at, measure, compare, load and hand on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from flnb.coordinator.history.difference import Difference, differences
from flnb.coordinator.history.reading import whole_model, whole_ones_near
from flnb.coordinator.history.tensor_file import TensorFile
from flnb.core import cards
from flnb.core.errors import DamagedError, TaskError
from flnb.store import Closing, LabStore, RoundKey
from flnb.tensors import Layout, Model

if TYPE_CHECKING:
    from torch import nn

    from flnb.tasks import Task

    Module = TypeVar("Module", bound=nn.Module)
else:
    Module = TypeVar("Module")


class Checkpoint:
    """A round whose model is in history, here or through a connection.

    Made by `run.checkpoint(…)`. Everything is read when it is asked for; what was committed never
    changes, so a checkpoint stays good whatever happens to its run.

    Args:
        name: Of the branch.
        layout: Of the model.
        closing: The round; it names a commit.
    """

    def __init__(self, name: str, layout: Layout, closing: Closing) -> None:
        assert closing.snapshot is not None, "a checkpoint has a commit"
        self.layout, self.closing = layout, closing
        self.name, self.snapshot = name, closing.snapshot
        self.round, self.generation = closing.round, closing.generation
        self.sha256 = closing.parameters_sha256 or ""

    @property
    def key(self) -> RoundKey:
        """Which round it is, for ever."""
        return RoundKey(self.closing.run, self.generation, self.round)

    @property
    def metrics(self) -> dict[str, float]:
        """What was measured centrally in that round."""
        columns = self.closing.metrics
        rows = zip(columns["scope"], columns["metric"], columns["value"], strict=True)
        return {str(name): float(value) for scope, name, value in rows if scope == "central"}

    def model(self) -> Model:
        """The version, as one flat vector with its layout.

        Raises:
            DamagedError: What is stored is not what was committed; says which commit it is.
            StoreError: It cannot be read.
        """
        model, found = self._read()
        if self.sha256 and found != self.sha256:
            raise DamagedError(
                f"commit {self.snapshot} of round {self.round} of {self.name} is damaged: its "
                f"parameters have digest {found[:12]}, {self.sha256[:12]} was committed",
                hint="restore history/ from a copy, or go on from an earlier checkpoint",
            )
        return model

    def evaluate(self, task: Task) -> dict[str, float]:
        """Measure it on a task's held-out examples.

        Returns:
            `loss` and every metric of the task.

        Raises:
            TaskError: The task's model lies otherwise.
        """
        from flnb.training import Resident, combine_blocks, evaluate_block  # brings torch

        self._check(task)
        model, resident = self.model(), Resident(task)
        blocks = [evaluate_block(resident, model, block) for block in task.test_blocks()]
        return {name: metric.value for name, metric in combine_blocks(blocks).items()}

    def load_into(self, module: Module) -> Module:
        """Put the version into a torch module of the same shape; returns the module.

        Raises:
            TaskError: The module has other tensors; the first difference is named.
        """
        from flnb.tasks.modules import into_module, layout_of  # brings torch

        if reason := self.layout.differs_from(layout_of(module)):
            raise TaskError(f"round {self.round} of {self.name} does not fit this module: {reason}")
        into_module(self.model(), module)
        return module

    def export(self, path: str | Path) -> Path:
        """Write the version as a safetensors file, each tensor with its own name, shape and dtype.

        The file says where it comes from: run, round, digest. An existing one is replaced whole.
        """
        path, whole = Path(path), self.tensor_file()
        draft = draft_of(path)
        try:
            with draft.open("wb") as file:
                for piece in whole.pieces():
                    file.write(piece)
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
        return path

    def tensor_file(self) -> TensorFile:
        """The file that `export` writes, which says where it comes from."""
        about = {"run": self.name, "round": str(self.round), "sha256": self.sha256}
        return TensorFile(self.model(), about)

    def diff(self, other: Checkpoint) -> Difference:
        """Compare two versions, tensor by tensor.

        Raises:
            TaskError: They are of different models.
        """
        if reason := self.layout.differs_from(other.layout):
            raise TaskError(f"{self!r} and {other!r} are of different models: {reason}")
        return differences(f"{self!r} → {other!r}", self.model(), other.model())

    def _read(self) -> tuple[Model, str]:
        """The version as it is stored, and its digest; not compared yet."""
        raise NotImplementedError

    def _check(self, task: Task) -> None:
        if reason := task.layout.differs_from(self.layout):
            raise TaskError(f"round {self.round} of {self.name} is not of this task: {reason}")

    def __repr__(self) -> str:
        """One line, from memory."""
        return f"Checkpoint({self.name!r}, round {self.round}, {self.snapshot[:6].lower()})"

    def _repr_mimebundle_(self, **_: object) -> Mapping[str, str]:
        facts = {
            "branch": f"{self.closing.branch}, generation {self.generation}",
            "commit": self.snapshot,
            "closed": f"{self.closing.closed_at:%Y-%m-%d %H:%M:%S} UTC",
            **{name: f"{value:.4g}" for name, value in self.metrics.items()},
        }
        title = f"Round {self.round} of {self.name}"
        return cards.bundle(repr(self), cards.card(title, facts, details={"sha256": self.sha256}))


class StoredCheckpoint(Checkpoint):
    """A checkpoint of a lab that this process can read.

    Args:
        store: The lab's store.
        name: Of the branch.
        layout: Of the model.
        closing: The round; it names a commit.
    """

    def __init__(self, store: LabStore, name: str, layout: Layout, closing: Closing) -> None:
        super().__init__(name, layout, closing)
        self._store = store

    def model(self) -> Model:
        """The version; of a damaged one the nearest that are whole are named.

        Raises:
            DamagedError: What is stored is not what was committed; says which part of it.
        """
        try:
            return whole_model(self._store, self.closing, self.layout)
        except DamagedError as error:
            error.hint = whole_ones_near(self._store, self.closing, self.layout)
            raise


def draft_of(path: Path) -> Path:
    """Where a file is written before it takes its place."""
    return path.with_name(f".{path.name}.draft")
