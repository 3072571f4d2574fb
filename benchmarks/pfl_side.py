"""pfl-research at work: runs in its own virtual environment and imports nothing of flnb.

Reads one order a line from standard input and answers each with one line of JSON:

    {"rounds": 12, "seed": 3, "measure": false}   →   {"seconds": […], "accuracy": […]}

With RANK and WORLD_SIZE set it is one of several processes that share each cohort. Its own batches
are never shuffled: that is how pfl works.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import sys
import time
from dataclasses import dataclass
from typing import Any

import multiprocess
import numpy as np
import torch
from pfl.aggregate.simulate import SimulatedBackend
from pfl.aggregate.weighting import WeightByUser
from pfl.algorithm.base import NNAlgorithmParams
from pfl.algorithm.federated_averaging import FederatedAveraging
from pfl.callback.base import TrainingProcessCallback
from pfl.data.dataset import Dataset
from pfl.data.federated_dataset import FederatedDataset
from pfl.data.sampling import get_user_sampler
from pfl.hyperparam.base import NNEvalHyperParams, NNTrainHyperParams
from pfl.metrics import Metrics
from pfl.model.pytorch import PyTorchModel  # its import makes torch pfl's framework
from torch import Tensor, nn


class Network(nn.Sequential):
    """Linear layers with ReLU between, and what pfl asks of a module."""

    def __init__(self, widths: list[int]) -> None:
        layers: list[nn.Module] = [nn.Flatten()]
        for before, after in itertools.pairwise(widths):
            layers += [nn.Linear(before, after), nn.ReLU()]
        super().__init__(*layers[:-1])

    def loss(self, x: Tensor, y: Tensor) -> Tensor:
        """Mean cross entropy of a batch."""
        self.train()
        return nn.functional.cross_entropy(self(x), y)

    def metrics(self, x: Tensor, y: Tensor) -> dict[str, Any]:
        """Nothing: evaluation by pfl itself is switched off."""
        return {}


class Clock(TrainingProcessCallback):  # type: ignore[misc]  # pfl is not in the environment that is checked
    """Notes how long each round took, and how good the model is if it is asked to."""

    def __init__(self, test: tuple[Tensor, Tensor] | None) -> None:
        self.seconds: list[float] = []
        self.accuracy: list[float] = []
        self._test = test
        self._began_s = time.monotonic()

    def after_central_iteration(
        self, aggregate_metrics: Metrics, model: PyTorchModel, *, central_iteration: int
    ) -> tuple[bool, Metrics]:
        """A round is over."""
        self.seconds.append(time.monotonic() - self._began_s)
        if self._test is not None:
            x, y = self._test
            with torch.inference_mode():
                hits = model.pytorch_model(x).argmax(1) == y
            self.accuracy.append(float(hits.float().mean()))
        self._began_s = time.monotonic()
        return False, Metrics()


@dataclass(frozen=True)
class Setting:
    """The same numbers that our side runs with."""

    widths: list[int]
    cohort: int
    batch_size: int
    lr: float


class Side:
    """A federated data set in memory, and a model to train on it."""

    def __init__(self, arrays: Any, setting: Setting) -> None:
        scale = np.float32(arrays["scale"])
        self._x = torch.from_numpy(arrays["x"].astype(np.float32) * scale)
        self._y = torch.from_numpy(arrays["y"].astype(np.int64))
        test_x = torch.from_numpy(arrays["test_x"].astype(np.float32) * scale)
        self._test = test_x, torch.from_numpy(arrays["test_y"].astype(np.int64))
        offsets = arrays["offsets"]
        self._rows = [arrays["order"][a:b] for a, b in itertools.pairwise(offsets)]
        self._users = [
            Dataset([self._x[rows], self._y[rows]], user_id=str(user))
            for user, rows in enumerate(self._rows)
        ]
        self._initial = [torch.from_numpy(value) for value in _listed(arrays)]
        self._setting = setting
        self._seed: int | None = None

    def obey(self, order: dict[str, Any]) -> dict[str, Any]:
        """Train for some rounds; a new seed begins anew."""
        if self._seed != order["seed"]:
            self._begin(order["seed"])
        setting = self._setting
        clock = Clock(self._test if order["measure"] else None)
        FederatedAveraging().run(
            NNAlgorithmParams(
                central_num_iterations=order["rounds"],
                evaluation_frequency=10**9,
                train_cohort_size=setting.cohort,
                val_cohort_size=0,
            ),
            self._backend,
            self._model,
            NNTrainHyperParams(
                local_batch_size=setting.batch_size,
                local_num_epochs=1,
                local_learning_rate=setting.lr,
            ),
            NNEvalHyperParams(local_batch_size=None),
            [clock],
            send_metrics_to_platform=False,
        )
        return {"seconds": clock.seconds, "accuracy": clock.accuracy}

    def _begin(self, seed: int) -> None:
        np.random.seed(seed)  # noqa: NPY002  # pfl draws its cohorts from numpy's global generator
        torch.manual_seed(seed)
        self._seed = seed
        sampler = get_user_sampler("random", list(range(len(self._users))))
        weights = {user: len(rows) for user, rows in enumerate(self._rows)}
        data = FederatedDataset(self._users.__getitem__, sampler, user_id_to_weight=weights)
        self._backend = SimulatedBackend(data, None, postprocessors=[WeightByUser()])
        network = Network(self._setting.widths)
        with torch.no_grad():
            for parameter, value in zip(network.parameters(), self._initial, strict=True):
                parameter.copy_(value)
        server = torch.optim.SGD(network.parameters(), lr=1.0)
        self._model = PyTorchModel(network, torch.optim.SGD, server)


def _listed(arrays: Any) -> list[np.ndarray]:
    return [arrays[name] for name in sorted(arrays.files) if name.startswith("initial")]


def main() -> None:
    """Serve orders until the input ends."""
    torch.set_num_threads(1)
    asyncio.set_event_loop(asyncio.new_event_loop())
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # pfl talks on standard output
    path, setting = sys.argv[1:]
    side = Side(np.load(path), Setting(**json.loads(setting)))
    for line in sys.stdin:
        answers.write(json.dumps(side.obey(json.loads(line))) + "\n")
        answers.flush()
    for helper in multiprocess.active_children():  # pfl's own, which would be waited for for ever
        helper.terminate()
    os._exit(0)


if __name__ == "__main__":
    main()
