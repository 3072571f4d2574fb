"""The example of `docs/remote-clients.md` runs as it stands, blocking and on a loop."""

import asyncio
import re
import threading

import numpy as np
import pytest
from torch import nn

import flnb
from tests.e2e.remote_client import plan
from tests.e2e.victims import ROOT

X = np.random.default_rng(3).normal(size=(40, 3)).astype(np.float32)
Y = X @ np.array([[1.0], [-2.0], [0.5]], np.float32) + 0.25
ROUNDS = 20


def example():
    page = (ROOT / "docs" / "remote-clients.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(import numpy.*?)```", page, re.DOTALL)
    return code


@pytest.fixture
def regression():
    return flnb.Task(
        model=lambda: nn.Linear(3, 1),
        train=(X, Y),
        loss=nn.functional.mse_loss,
        metrics=(),
        split=flnb.IID(clients=1, seed=0),
    )


@pytest.mark.parametrize("on_a_loop", [False, True])
def test_the_example_of_a_program_that_trains_by_itself_learns(
    regression, tmp_path, monkeypatch, on_a_loop
):
    monkeypatch.setenv("FLNB_HOME", str(tmp_path / "home"))
    code = example().replace(
        "client.run()", "asyncio.run(client.arun())" if on_a_loop else "client.run()"
    )
    with flnb.Coordinator(tmp_path / "lab") as coordinator:
        names = {"invite": coordinator.invite("a").text, "task": regression, "flnb": flnb}
        names |= {"scans": lambda: (X, Y), "asyncio": asyncio}
        there = threading.Thread(target=exec, args=(code, names))
        there.start()
        run = coordinator.run(plan(rounds=ROUNDS, invite=1), regression).wait(60)
        names["client"].stop()
        there.join(20)
    learned = run.model()
    assert np.allclose(learned.tensor("weight"), [[1.0, -2.0, 0.5]], atol=0.5)
    kept = sorted((tmp_path / "home").rglob("*.npz"))
    assert len(kept) == 5
