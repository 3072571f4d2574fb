"""Every named strategy passes the suite that third parties inherit."""

import pytest

from flnb.core import Local
from flnb.strategies import FedAdagrad, FedAdam, FedAvg, FedAvgM, FedProx, FedSGD, FedYogi
from flnb.testing.strategies import StrategySuite


class TestFedAvg(StrategySuite):
    @pytest.fixture(params=[FedAvg(), FedAvg(server_lr=0.5, weighting="equal")])
    def config(self, request):
        return request.param


class TestFedSGD(StrategySuite):
    @pytest.fixture
    def config(self):
        return FedSGD(lr=0.3)


class TestFedProx(StrategySuite):
    @pytest.fixture
    def config(self):
        return FedProx(mu=0.1, local=Local(epochs=5, lr=0.01))


class TestFedAvgM(StrategySuite):
    @pytest.fixture
    def config(self):
        return FedAvgM(server_lr=0.5, momentum=0.8)


class TestFedAdagrad(StrategySuite):
    @pytest.fixture
    def config(self):
        return FedAdagrad(weighting="equal")


class TestFedAdam(StrategySuite):
    @pytest.fixture
    def config(self):
        return FedAdam()


class TestFedYogi(StrategySuite):
    @pytest.fixture
    def config(self):
        return FedYogi(tau=0.01)
