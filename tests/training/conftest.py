import numpy as np
import pytest
from torch import nn

from flnb.core import ClientHalf, Local, Work
from flnb.datasets import Split
from flnb.tasks import Task
from flnb.training import Resident


def perceptron():
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))


@pytest.fixture
def arrays():
    random = np.random.Generator(np.random.Philox(key=1))
    x = random.normal(size=(60, 6)).astype(np.float32)
    return x, (x[:, 0] > 0).astype(np.int64) + (x[:, 1] > 0)


@pytest.fixture
def make_resident(arrays):
    def make(model=perceptron, **changes):
        split = Split.of({"anna": range(25), "bert": range(25, 60), "none": []})
        settings = {"train": arrays, "test": arrays, "split": split}
        return Resident(Task(model=model, **{**settings, **changes}))

    return make


@pytest.fixture
def resident(make_resident):
    return make_resident()


@pytest.fixture
def base(resident):
    return resident.task.initial_model(3)


@pytest.fixture
def make_work():
    def make(*, seed=5, round=2, attempt=0, federated=False, **local):
        half = ClientHalf("flnb.training:local_sgd", Local(**{"batch_size": 8, **local}))
        return Work(
            run="r",
            seed=seed,
            round=round,
            attempt=attempt,
            stage="train",
            clients=("anna", "bert"),
            half=half,
            weighting="examples",
            federated=federated,
        )

    return make
