"""Clients whose wall clocks are an hour off join, train, and renew their tokens like others."""

from functools import partial
from pathlib import Path

import pytest

import flnb
import flnb.transport
from flnb.coordinator.remote.session import ClientSession
from tests.e2e.remote_client import plan, task
from tests.faults.lanes import NAMES, miscounted
from tests.faults.test_kills import ended

SCRIPT = Path(__file__).parent / "skewed.py"
TOKEN_S, ROUNDS = 1.5, 4
"""Each token ends before the run does: two trainings a round take a second."""


@pytest.mark.timeout(120)
def test_clocks_that_are_an_hour_off_change_nothing(nursery, tmp_path, monkeypatch):
    short = partial(flnb.transport.Limits, token_lifetime_s=TOKEN_S)
    monkeypatch.setattr("flnb.transport.Limits", short)
    clients, renewed, real = [], [], ClientSession.renewed

    def noted(self, *token):
        renewed.append(self.client)
        real(self, *token)

    monkeypatch.setattr(ClientSession, "renewed", noted)
    with flnb.Coordinator(tmp_path / "lab") as coordinator:
        coordinator.listen(tls=True)
        for name, hours in zip(NAMES, (1, -1), strict=True):
            arguments = (SCRIPT, tmp_path / name, hours, coordinator.invite(name).text)
            clients.append(nursery.begin("script", *map(str, arguments)))
        with ended(*clients):
            run = coordinator.run(plan(rounds=ROUNDS), task("softmax", 2)).wait(60)
        coordinator.flush()
        assert miscounted(coordinator.lab, run, ROUNDS) == ""
    assert set(renewed) == set(NAMES)
    for name in NAMES:
        assert "reconnecting" not in (tmp_path / f"{name}.log").read_text()
