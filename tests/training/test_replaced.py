"""Modules that compute with something else than what is trained."""

import pytest
import torch
from torch import nn

from flnb.core.errors import TaskError
from flnb.training import evaluate_block, local_sgd


class Renewing(nn.Module):
    """Puts another parameter in the place of its own, as soon as it trains or always."""

    def __init__(self, always=False):
        super().__init__()
        self.body, self.always = nn.Linear(6, 3), always

    def forward(self, x):
        if self.training or self.always:
            self.body.weight = nn.Parameter(self.body.weight * 0.99)
        return self.body(x)


class MaxNorm(nn.Linear):
    """Gives its weight other memory, as layers that bound its norm often do."""

    def forward(self, x):
        self.weight.data = torch.renorm(self.weight.data, p=2, dim=0, maxnorm=0.1)
        return super().forward(x)


class Bounded(nn.Linear):
    """Bounds its weight where it lies."""

    def forward(self, x):
        with torch.no_grad():
            self.weight.copy_(torch.renorm(self.weight, p=2, dim=0, maxnorm=0.1))
        return super().forward(x)


class Fresh(nn.Module):
    """Puts another layer in the place of its own."""

    def __init__(self):
        super().__init__()
        self.body = nn.Linear(6, 3)

    def forward(self, x):
        self.body = nn.Linear(6, 3)
        return self.body(x)


def test_a_module_that_replaces_a_parameter_while_it_trains_is_refused(make_resident, make_work):
    resident = make_resident(Renewing)
    assert resident.task.summary().errors == ()  # the trial does not train
    for _ in range(2):
        with pytest.raises(TaskError, match=r"Renewing replaces its parameter 'body\.weight'"):
            local_sgd(resident, resident.task.initial_model(3), make_work(), "anna")


def test_a_module_that_replaces_a_parameter_is_known_before_anything_runs(make_resident):
    errors = make_resident(lambda: Renewing(always=True)).task.summary().errors
    assert "Renewing replaces its parameter 'body.weight' while it computes" in errors[0]


@pytest.mark.parametrize(
    ("model", "path"), [(lambda: MaxNorm(6, 3), "weight"), (Fresh, "body.weight")]
)
def test_other_memory_or_another_layer_is_a_parameter_replaced(
    make_resident, make_work, model, path
):
    resident = make_resident(model)
    assert f"replaces its parameter '{path}'" in resident.task.summary().errors[0]
    with pytest.raises(TaskError, match=f"replaces its parameter '{path}'") as caught:
        local_sgd(resident, resident.task.initial_model(3), make_work(), "anna")
    assert "w.copy_(" in caught.value.hint


def test_a_parameter_may_be_changed_where_it_lies(make_resident, make_work):
    resident = make_resident(lambda: Bounded(6, 3))
    assert resident.task.summary().errors == ()
    update = local_sgd(resident, resident.task.initial_model(3), make_work(), "anna").update
    assert update.tensor("weight").any()


def test_what_a_module_puts_in_the_place_of_its_weight_is_not_measured_either(make_resident):
    resident = make_resident(lambda: MaxNorm(6, 3))
    base = resident.task.initial_model(3)
    with pytest.raises(TaskError, match="MaxNorm replaces its parameter 'weight'"):
        evaluate_block(resident, base, resident.task.test_blocks()[0])
