"""What all server optimisers share."""

import numpy as np
import pytest

from flnb.core.errors import IntegrityError
from flnb.strategies.server import SGD, Adam
from flnb.tensors import Layout, Model, Update, aligned

LAYOUT = Layout.of(
    [
        ("norm.running_var", (3,), "float32", "buffer"),
        ("w", (3,), "float32", "parameter"),
        ("h", (3,), "bfloat16", "parameter"),
        ("n", (), "int64", "buffer"),
    ]
)


def filled(kind, value, integer=0):
    values, integers = aligned(LAYOUT.n_values, np.float32), aligned(LAYOUT.n_integers, np.int64)
    for slot in LAYOUT.slots:
        slot.view(values if slot.floating else integers)[...] = value if slot.floating else integer
    return kind(LAYOUT, values, integers)


def test_only_parameters_are_scaled_by_the_learning_rate():
    _, model = SGD(0.1).apply(SGD().init(LAYOUT), filled(Model, 1.0), filled(Update, 1.0, 7))
    assert model.tensor("w").tolist() == pytest.approx([1.1] * 3)
    assert model.tensor("norm.running_var").tolist() == [2.0] * 3
    assert model.tensor("n") == 7


def test_half_precision_is_rounded_to_what_the_model_can_hold():
    _, model = SGD(1.0).apply(SGD().init(LAYOUT), filled(Model, 1.0), filled(Update, 0.003))
    assert model.tensor("w")[0] == np.float32(1.003)
    assert model.tensor("h")[0] == 1.0


def test_state_holds_parameters_only():
    assert Adam().init(LAYOUT).v.size == LAYOUT.parameter_span.stop < LAYOUT.n_values


@pytest.mark.parametrize("optimiser", [SGD(1e30), Adam()])
def test_a_step_out_of_range_is_an_error_with_advice(optimiser):
    with pytest.raises(IntegrityError, match=r"overflow.*\n.*lower local\.lr"):
        optimiser.apply(optimiser.init(LAYOUT), filled(Model, 1.0), filled(Update, 1e20))


def test_a_step_out_of_the_range_of_half_precision_is_an_error_and_a_mask_is_none():
    layout = Layout.of([("h", (2,), "float16", "parameter"), ("m", (2,), "float16", "buffer")])
    values, change = aligned(layout.n_values, np.float32), aligned(layout.n_values, np.float32)
    none = aligned(layout.n_integers, np.int64)
    layout.slot("m").view(values)[...] = -np.inf
    layout.slot("h").view(values)[...] = 60_000.0
    layout.slot("h").view(change)[...] = 4000.0
    model, update = Model(layout, values, none), Update(layout, change, none)
    assert np.isinf(SGD(1.0).apply(SGD().init(layout), model, update)[1].tensor("m")).all()
    with pytest.raises(IntegrityError, match=r"range of float16 in 'h'\n.*lower local\.lr"):
        SGD(2.0).apply(SGD().init(layout), model, update)
