import numpy as np
import pytest
from torch import nn

from flnb.datasets import IID
from flnb.tasks import Task


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, x):
        return self.layer(x)


@pytest.fixture
def arrays():
    random = np.random.Generator(np.random.Philox(key=1))
    return random.normal(size=(30, 4)).astype(np.float32), random.integers(0, 3, 30)


@pytest.fixture
def make_task(arrays):
    def make(model=Net, **changes):
        settings = {"train": arrays, "test": arrays, "split": IID(clients=3)}
        return Task(model=model, **{**settings, **changes})

    return make


@pytest.fixture
def task(make_task):
    return make_task()
