"""Settings, and the algorithm that is put together from them."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from flnb.aggregation import WeightedMean
from flnb.core import Local, Plan, strategy_registry
from flnb.core.errors import PlanError
from flnb.strategies import FedAvg, FedAvgM, FedProx, FedSGD
from flnb.tensors import CohortSum, Layout, Model, Update, aligned

LAYOUT = Layout.of([("w", (3,), "float32", "parameter")])


def flat(kind, w):
    values = aligned(LAYOUT.n_values, np.float32)
    values[:3] = w
    return kind(LAYOUT, values, aligned(0, np.int64))


def test_all_seven_are_registered():
    names = {"fedsgd", "fedavg", "fedprox", "fedavgm", "fedadagrad", "fedadam", "fedyogi"}
    assert names <= set(strategy_registry.names())


def test_a_name_in_a_plan_is_enough():
    strategy = Plan(strategy="fedavg").strategy.compose()
    assert strategy.half.entry == "flnb.training:local_sgd"
    assert strategy.rule.weighting == "examples"
    assert strategy.stages == ("train",)


def test_weighting_chooses_the_rule():
    assert FedAvg(weighting="equal").compose().rule.weighting == "equal"


def test_a_rule_that_weighs_in_a_way_that_there_is_not_is_refused():
    class BySamples(WeightedMean):
        weighting = "samples"

    with pytest.raises(
        PlanError, match="BySamples weighs by 'samples', expected examples or equal"
    ):
        replace(FedAvg().compose(), rule=BySamples())


def test_fedavg_with_server_lr_1_is_the_mean_of_the_clients_models():
    base, clients, weights = [1.0, 2.0, 3.0], [[2.0, 2.0, 5.0], [0.0, 4.0, 3.5]], [1, 3]
    strategy, sums = FedAvg().compose(), CohortSum(LAYOUT)
    for client, weight in zip(clients, weights, strict=True):
        sums.fold(flat(Update, np.subtract(client, base)), weight)
    model = flat(Model, base)
    _, model = strategy.server.apply(
        strategy.server.init(LAYOUT), model, strategy.rule.combine(sums)
    )
    assert model.values[:3].tolist() == np.average(clients, axis=0, weights=weights).tolist()


@pytest.mark.parametrize("client_lr", [1.0, 0.25])
def test_fedsgd_is_gradient_descent_on_the_pooled_data(client_lr):
    # Client k holds n_k copies of target t_k: its gradient of ½‖w − t‖² is w − t_k.
    targets, counts = np.array([[1.0, 0, 2], [3, 3, 3], [-1, 5, 0]]), [1, 2, 5]
    local = Local(epochs=None, steps=1, batch_size=None, lr=client_lr)
    strategy = FedSGD(lr=0.1, local=local).compose()
    state, model, w = strategy.server.init(LAYOUT), flat(Model, [0.0] * 3), np.zeros(3)
    for _ in range(10):
        sums = CohortSum(LAYOUT)
        for target, count in zip(targets, counts, strict=True):
            sums.fold(flat(Update, -client_lr * (model.values[:3] - target)), count)
        state, model = strategy.server.apply(state, model, strategy.rule.combine(sums))
        w -= 0.1 * (w - np.average(targets, axis=0, weights=counts))
    np.testing.assert_allclose(model.values[:3], w, rtol=1e-5)


@pytest.mark.parametrize("local", [Local(), Local(batch_size=None, epochs=2), Local(epochs=1)])
def test_fedsgd_with_more_than_one_step_is_refused(local):
    with pytest.raises(PlanError, match="one step on all data"):
        FedSGD(local=local)


def test_fedprox_hands_mu_to_the_clients():
    assert FedProx(mu=0.3).compose().half.local.prox_mu == 0.3
    with pytest.raises(PlanError, match=r"mu=0.3 and local.prox_mu=0.1"):
        FedProx(mu=0.3, local=Local(prox_mu=0.1))


def test_fedavgm_gathers_speed():
    server = FedAvgM(server_lr=1.0, momentum=0.5).compose().server
    state, model = server.init(LAYOUT), flat(Model, [0.0] * 3)
    places = []
    for _ in range(4):
        state, model = server.apply(state, model, flat(Update, [1.0] * 3))
        places.append(float(model.values[0]))
    assert places == [1.0, 2.5, 4.25, 6.125]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"kind": "fedadam", "sever_lr": 1.0}, "did you mean 'server_lr'"),
        ({"kind": "fedadam", "beta2": 1.0}, "beta2"),
        ({"kind": "fedavg", "weighting": "size"}, "weighting"),
        ({"kind": "fedyogi", "tau": 0.0}, "tau"),
        ({"kind": "fedadam", "tau": 1e20}, "tau"),
        ({"kind": "fedadagrad", "tau": float("inf")}, "tau"),
        ({"kind": "fedyogi", "tau": 1e-30}, "tau"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings, said):
    with pytest.raises(PlanError, match=said):
        Plan(strategy=settings)


def test_naming_a_strategy_does_not_load_torch():
    program = "import sys, flnb.strategies; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
