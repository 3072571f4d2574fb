"""Server optimisers against the papers' formulas in plain float64, and against torch.

Tolerance: 2e-5 relative and 1e-6 absolute over 12 rounds, which is what float32 leaves of steps
whose rounding errors add up; a wrong sign, root or decay is off by more than 1e-2.
"""

import math
from functools import partial

import numpy as np
import pytest
import torch

from flnb.strategies.server import SGD, Adagrad, Adam, Momentum, Yogi
from flnb.tensors import BLOCK_VALUES, Layout, Model, Update, aligned

N = 40
ROUNDS = 12
LAYOUT = Layout.of([("w", (N,), "float32", "parameter")])
CLOSE = partial(np.testing.assert_allclose, rtol=2e-5, atol=1e-6)


def vector(x, layout=LAYOUT):
    values = aligned(layout.n_values, np.float32)
    values[: len(x)] = x
    return values


def deltas():
    random = np.random.Generator(np.random.Philox(3))
    sizes = 10.0 ** random.uniform(-4, 0, N)
    return [(random.normal(size=N) * sizes).astype(np.float32) for _ in range(ROUNDS)]


def start():
    return np.linspace(-2, 2, N).astype(np.float32)


def played(optimiser):
    model, state = Model(LAYOUT, vector(start()), aligned(0, np.int64)), optimiser.init(LAYOUT)
    for delta in deltas():
        state, model = optimiser.apply(state, model, Update(LAYOUT, vector(delta), model.integers))
    return model.values[:N]


def by_hand(second_moment, *, lr, beta1, tau):
    """Algorithm 2 of Reddi et al. for one coordinate after the other, in Python floats."""
    result = []
    for place, x in enumerate(start().tolist()):
        m, v = 0.0, tau**2
        for delta in (float(round_deltas[place]) for round_deltas in deltas()):
            m = beta1 * m + (1 - beta1) * delta
            v = second_moment(v, delta**2)
            x += lr * m / (math.sqrt(v) + tau)
        result.append(x)
    return result


def sign(x):
    return (x > 0) - (x < 0)


@pytest.mark.parametrize("tau", [1e-3, 0.1])
@pytest.mark.parametrize("beta1", [0.0, 0.9])
def test_adaptive_optimisers_follow_algorithm_2(beta1, tau):
    common = {"lr": 0.05, "beta1": beta1, "tau": tau}
    b2 = 0.97
    CLOSE(played(Adagrad(**common)), by_hand(lambda v, d2: v + d2, **common))
    CLOSE(
        played(Adam(beta2=b2, **common)),
        by_hand(lambda v, d2: b2 * v + (1 - b2) * d2, **common),
    )
    CLOSE(
        played(Yogi(beta2=b2, **common)),
        by_hand(lambda v, d2: v - (1 - b2) * d2 * sign(v - d2), **common),
    )


def test_momentum_follows_hsu_et_al():
    x, v = start().astype(np.float64), np.zeros(N)
    for delta in deltas():
        v = 0.8 * v + delta
        x = x + 0.3 * v
    CLOSE(played(Momentum(0.3, 0.8)), x)


def by_torch(make):
    weight = torch.nn.Parameter(torch.from_numpy(start().copy()))
    optimiser = make([weight])
    for delta in deltas():
        weight.grad = torch.from_numpy(-delta)
        optimiser.step()
    return weight.detach().numpy()


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (SGD(0.3), partial(torch.optim.SGD, lr=0.3)),
        (Momentum(0.3, 0.8), partial(torch.optim.SGD, lr=0.3, momentum=0.8)),
        (
            Adagrad(lr=0.05, beta1=0.0, tau=0.01),
            partial(torch.optim.Adagrad, lr=0.05, eps=0.01, initial_accumulator_value=0.01**2),
        ),
    ],
    ids=["sgd", "momentum", "adagrad"],
)
def test_where_torch_has_the_same_algorithm_it_gives_the_same(ours, theirs):
    CLOSE(played(ours), by_torch(theirs))


@pytest.mark.parametrize("optimiser", [SGD(), Momentum(), Adagrad(), Adam(), Yogi()])
def test_every_block_of_a_large_model_is_treated_alike(optimiser):
    n = 2 * BLOCK_VALUES + 5
    layout = Layout.of([("w", (n,), "float32", "parameter")])
    model = Model(layout, vector(np.ones(n), layout), aligned(0, np.int64))
    update = Update(layout, vector(np.full(n, 0.25), layout), model.integers)
    _, after = optimiser.apply(optimiser.init(layout), model, update)
    assert len(set(after.values[:n].tolist())) == 1
    assert after.values[0] > 1.0
