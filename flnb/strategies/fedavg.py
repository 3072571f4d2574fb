"""Federated averaging.

McMahan, Moore, Ramage, Hampson, Agüera y Arcas. "Communication-Efficient Learning of Deep
Networks from Decentralized Data", AISTATS 2017, Algorithm 1. https://arxiv.org/abs/1602.05629

Differs from the paper: clients send the difference to the model they received, not the model;
with server_lr = 1 the next model is the same mean. The mean runs over the accepted clients.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import PositiveFloat

from flnb.core.plan import strategy_registry
from flnb.strategies.composition import Averaging, Strategy
from flnb.strategies.server import SGD


@strategy_registry.register("fedavg")
class FedAvg(Averaging):
    """Clients train, the server takes the mean.

    Examples:
        >>> FedAvg(local={"epochs": 5, "lr": 0.05}).local.epochs
        5
        >>> FedAvg(server_lr=-1.0)  # refused where it is written
        Traceback (most recent call last):
        flnb.core.errors.PlanError: FedAvg.server_lr: input should be greater than 0, got -1.0
    """

    kind: ClassVar[str] = "fedavg"
    server_lr: PositiveFloat = 1.0
    """How far the server follows the mean update; 1 is the paper."""

    def compose(self) -> Strategy:
        """Put the algorithm together."""
        return self.around(SGD(self.server_lr))
