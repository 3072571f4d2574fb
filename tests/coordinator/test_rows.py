"""The columns of an open round, and what is worked out from them."""

import math

import numpy as np
import pytest

from flnb.coordinator.rows import OpenRound
from flnb.core.clock import SYSTEM_CLOCK
from flnb.core.messages import Outcome


def open_round(losses, outcome=Outcome.ACCEPTED):
    made = OpenRound(1, 0, tuple(f"c{n}" for n in range(len(losses))), SYSTEM_CLOCK.now())
    made.loss[:], made.n_examples[:], made.outcome[:] = losses, 10, outcome
    made.n_examples[0] = 30
    return made


def test_the_loss_of_training_is_the_mean_by_examples():
    assert open_round([1.0, 2.0]).training() == {"loss": 1.25, "loss_not_finite": 0.0}


@pytest.mark.parametrize("strange", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_is_counted_and_stays_in_its_row_alone(strange):
    made = open_round([1.0, 2.0, strange])
    assert made.training() == {"loss": 1.25, "loss_not_finite": 1.0}
    assert not np.isfinite(made.loss[2])


def test_of_clients_that_were_not_accepted_nothing_is_counted():
    made = open_round([1.0, 2.0, math.nan])
    made.outcome[2] = Outcome.REFUSED
    assert made.training() == {"loss": 1.25, "loss_not_finite": 0.0}


def test_without_any_finite_loss_there_is_no_mean():
    found = open_round([math.nan, math.inf]).training()
    assert math.isnan(found["loss"])
    assert found["loss_not_finite"] == 2
