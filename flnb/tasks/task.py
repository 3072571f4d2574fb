"""Task: a model, examples spread over clients, a loss and metrics, ready to train.

A Task is immutable and light: torch modules are built when they are needed and never kept. What
is worked out once (layout, summary, fingerprint) is cached, and left behind when the task goes to
a worker. Torch is imported when the first Task is made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from flnb.core import ClientId, TaskSummary, cards, derive
from flnb.core.errors import TaskError
from flnb.datasets import FederatedData, Partitioner, Split
from flnb.tasks.fingerprint import Fingerprint, digest_code, digest_data

if TYPE_CHECKING:
    from torch import Tensor, nn

    from flnb.tasks.losses import Loss
    from flnb.tasks.metrics import Metric
    from flnb.tasks.refs import TaskRef
    from flnb.tensors import Layout, Model

BLOCK_EXAMPLES = 200
"""Examples measured at once. Fixed, so that sums do not depend on who measures; small, because
the activations of a convolutional network should stay in the cache (twice as fast as 2000)."""


class Task:
    """What is learned, on which data, and how success is measured.

    Args:
        model: Makes the module: its class, or any function without arguments. Called in every
            process, under a seed that flnb sets.
        data: A federated data set of `flnb.datasets`; or give `train` and `split`.
        train: Examples to learn from: `(x, y)` of numpy arrays or tensors, or a torch `Dataset`.
            Not copied, so leave them as they are; `uint8` is pixels and reaches the model times
            1/255, other integers as int64, numbers as float32.
        test: Held-out examples, in the same form.
        split: Which client holds which examples: a partitioner such as
            `Dirichlet(alpha=0.3, clients=50)`, or a ready `Split`. With `data` it replaces the
            split that the data came with.
        loss: `cross_entropy`, `mse`, `binary_cross_entropy`, or a function of outputs and targets
            that gives their mean.
        metrics: Names (`accuracy`, `auc`, `squared_error`, `absolute_error`) or functions of outputs and
            targets that give one value an example or a `MetricSum`; the loss is always measured too.
        name: What the task is called in tables and on screen.

    Raises:
        TaskError: The parts do not fit together; the message says which.
        DataError: Arrays differ in length, or cannot be split that way.
    """

    name: str
    data: FederatedData
    model: Callable[[], nn.Module]
    loss: str | Loss
    metrics: Mapping[str, str | Metric]
    """Metric name to what was given for it."""
    ref: TaskRef | None
    """How to make the task again by name; None when it was made by hand."""

    def __init__(
        self,
        *,
        model: Callable[[], nn.Module],
        data: FederatedData | None = None,
        train: Any = None,
        test: Any = None,
        split: Partitioner | Split | Mapping[str, Any] | str | None = None,
        loss: str | Loss = "cross_entropy",
        metrics: Sequence[str | Metric] = ("accuracy",),
        name: str | None = None,
    ) -> None:
        from flnb.tasks import losses, parts

        parts.check_model(model)
        losses.find_loss(loss)
        data = parts.federated(data, train, test, split, name)
        self.__dict__.update(
            name=name or data.name,
            data=data,
            model=model,
            loss=loss,
            metrics=MappingProxyType(parts.named_metrics(metrics)),
            ref=None,
        )

    def __setattr__(self, name: str, value: Any) -> None:
        raise TaskError(f"a Task is not changed: make a new one to set {name}")

    def __getstate__(self) -> dict[str, Any]:
        own = {key: self.__dict__[key] for key in ("name", "data", "model", "loss", "ref")}
        return {**own, "metrics": dict(self.metrics)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, metrics=MappingProxyType(state["metrics"]))

    def referred(self, ref: TaskRef | None) -> Task:
        """Copy that knows how to be made again by name."""
        copy = object.__new__(Task)
        copy.__dict__.update(self.__dict__, ref=ref)
        return copy

    # The model

    def build(self, seed: int = 0) -> nn.Module:
        """Make a fresh module, the same for the same seed; the process's generators are left alone."""
        from flnb.tasks.modules import built

        return built(self.model, seed)

    def initial_model(self, seed: int) -> Model:
        """Make the version that round 1 starts from.

        Args:
            seed: The plan's seed; the module is built under one derived from it by name.
        """
        from flnb.tasks.modules import to_model

        return to_model(self.build(derive(seed, purpose="initial-model")), self.layout)

    def module(self, model: Model) -> nn.Module:
        """Turn a version into a torch module to look at or use, in evaluation mode.

        Raises:
            TaskError: The version is of another layout; the first difference is named.
        """
        from flnb.tasks.modules import into_module

        if reason := self.layout.differs_from(model.layout):
            raise TaskError(f"this version is not of task {self.name!r}: {reason}")
        module = self.build()
        into_module(model, module)
        return module.eval()

    @property
    def layout(self) -> Layout:
        """How the model's tensors lie in flat vectors.

        Raises:
            TaskError: `model` makes something that cannot be trained.
        """
        return self._looked_at[0]

    @cached_property
    def _looked_at(self) -> tuple[Layout, tuple[str, ...]]:
        from flnb.tasks.modules import concerns, layout_of

        module = self.build()
        return layout_of(module), concerns(module)

    # The examples

    @property
    def split(self) -> Split:
        """Which client holds which examples."""
        return self.data.split

    @cached_property
    def clients(self) -> Mapping[ClientId, int]:
        """Every client with its number of examples, 0 included."""
        sizes = map(int, self.split.sizes)
        return MappingProxyType(dict(zip(self.split.clients, sizes, strict=True)))

    def client_tensors(self, client: ClientId) -> tuple[Tensor, Tensor]:
        """Copy a client's examples as tensors, in the order of the split; see `train_tensors`."""
        return self.train_tensors(self.split.indices(client))

    def train_tensors(self, rows: np.ndarray) -> tuple[Tensor, Tensor]:
        """Copy rows of the training part as tensors, in the order given.

        Raises:
            DataError: There is no such row.
        """
        from flnb.tasks.examples import inputs, targets

        return inputs(self.data.train, rows), targets(self.data.train, rows)

    def test_blocks(self) -> tuple[range, ...]:
        """Cut the held-out part into blocks that do not depend on who measures them."""
        n = len(self.data.test) if self.data.test else 0
        starts = range(0, n, BLOCK_EXAMPLES)
        return tuple(range(start, min(start + BLOCK_EXAMPLES, n)) for start in starts)

    def test_tensors(self, block: range) -> tuple[Tensor, Tensor]:
        """Copy a block of the held-out part as tensors.

        Raises:
            TaskError: There is no held-out part.
        """
        from flnb.tasks.examples import inputs, targets

        if self.data.test is None:
            raise TaskError(f"task {self.name!r} has no held-out examples")
        return inputs(self.data.test, block), targets(self.data.test, block)

    # The measures

    @cached_property
    def loss_function(self) -> Loss:
        """The loss as a function of outputs and targets."""
        from flnb.tasks.losses import find_loss

        return find_loss(self.loss)

    @cached_property
    def metric_functions(self) -> Mapping[str, Metric]:
        """Metric name to its function."""
        from flnb.tasks.metrics import find_metric

        return MappingProxyType({name: find_metric(given) for name, given in self.metrics.items()})

    # What others want to know

    def summary(self) -> TaskSummary:
        """What a plan check needs to know, with everything that looks wrong in the task."""
        return self._summary

    @cached_property
    def _summary(self) -> TaskSummary:
        layout, concerns = self._looked_at
        held_out = self.data.test
        empty = sum(count == 0 for count in self.clients.values())
        errors, troubles = self._first_batch()
        warnings = [*concerns, *troubles]
        if held_out is None:
            warnings.append("no held-out examples: only federated evaluation measures this task")
        if empty:
            warnings.append(
                f"{empty} of {len(self.clients)} clients have no examples and will fail"
            )
        return TaskSummary(
            name=self.name,
            n_parameters=layout.n_parameters,
            n_buffer_values=layout.n_buffer_values,
            model_bytes=layout.model_bytes,
            client_examples=dict(self.clients),
            n_test_examples=len(held_out) if held_out else 0,
            errors=errors,
            warnings=tuple(warnings),
            metrics=(
                *self.metrics,
                *(f"{m}_{p}" for m in self.metrics for p in self.data.test_parts),
            ),
        )

    def _first_batch(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Try two examples, so that what fails everywhere is known before anything runs.

        Returns:
            Why nothing can be learned, and which metrics cannot be measured.
        """
        from flnb.tasks.modules import trial

        client = next((client for client, count in self.clients.items() if count), None)
        if client is None:
            return (), ()
        batch = self.train_tensors(self.split.indices(client)[:2])
        problem, others = trial(self.build(), self.loss_function, self.metric_functions, *batch)
        errors = (f"a first batch of {client} fails: {problem}",) if problem else ()
        return errors, tuple(f"on a first batch of {client} {text}" for text in others)

    def fingerprint(self) -> Fingerprint:
        """Digest code, data and layout, to tell whether a run is resumed with the same task."""
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> Fingerprint:
        code = digest_code(self.model, self.loss, dict(self.metrics))
        return Fingerprint(code, digest_data(self.data), self.layout.hash[: len(code)])

    def __repr__(self) -> str:
        return f"<Task {self.name}: {self.split.describe()}, {self._held_out} held out>"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return cards.bundle(repr(self), cards.card(f"Task {self.name}", self._facts()))

    def _facts(self) -> dict[str, str]:
        loss = self.loss if isinstance(self.loss, str) else getattr(self.loss, "__name__", "own")
        facts = {
            "data": self.split.describe(),
            "held out": self._held_out,
            "loss": loss,
            "metrics": ", ".join(self.metrics) or "none",
        }
        # A card builds no module: parameters are shown once something has asked for the layout.
        if "_looked_at" in self.__dict__:
            facts["parameters"] = f"{self.layout.n_parameters:,}"
        return facts

    @property
    def _held_out(self) -> str:
        return f"{len(self.data.test):,}" if self.data.test else "nothing"
