"""pfl-research beside us: the same clients, arrays and first version, in an environment of its own.

Granqvist et al., "pfl-research: simulation framework for accelerating research in Private
Federated Learning", NeurIPS 2024 (datasets and benchmarks). https://arxiv.org/abs/2404.06430
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from flnb.core import Plan
from flnb.tasks import Task

NAME = "pfl-research 0.5.2"
_PYTHON = Path(__file__).parent.parent / ".bench-env" / "bin" / "python"
_SIDE = Path(__file__).with_name("pfl_side.py")
_END_S = 5.0


class Peer:
    """pfl in one or several processes that wait for orders."""

    def __init__(self, processes: list[subprocess.Popen[str]]) -> None:
        self._processes = processes

    def train(self, rounds: int, *, seed: int = 1, measure: bool = False) -> dict[str, Any]:
        """Train on; returns `seconds` and, if measured, test `accuracy` of each round."""
        order = json.dumps({"rounds": rounds, "seed": seed, "measure": measure}) + "\n"
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.write(order)
            process.stdin.flush()
        answers = [process.stdout.readline() for process in self._processes if process.stdout]
        if not all(answers):
            raise RuntimeError("pfl ended before it answered")
        first: dict[str, Any] = json.loads(answers[0])
        return first


@contextmanager
def pfl(task: Task, plan: Plan, widths: tuple[int, ...], *, processes: int = 1) -> Iterator[Peer]:
    """Start pfl on a task of ours; it holds every client's arrays in memory.

    Args:
        task: Its arrays, split and first version are handed over.
        plan: Its cohort, batch size, rate and seed.
        widths: Units of every layer of the task's network, inputs and outputs included.
        processes: How many share a cohort, each with one torch thread.
    """
    if not _PYTHON.exists():
        raise FileNotFoundError(f"{_PYTHON} is not there: make .bench-env/.installed")
    local = plan.strategy.local
    setting = {"cohort": plan.invite, "batch_size": local.batch_size, "lr": local.lr}
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="flnb-bench-"))
        arrays = Path(folder) / "arrays.npz"
        _write(arrays, task, plan.seed)
        arguments = [arrays, json.dumps({"widths": widths, **setting})]
        port = _free_port()
        running = [
            stack.enter_context(_started(arguments, _environment(rank, processes, port)))
            for rank in range(processes)
        ]
        yield Peer(running)


def _write(path: Path, task: Task, seed: int) -> None:
    train, test, split = task.data.train, task.data.test, task.split
    assert test is not None, "the peer measures on held-out examples"
    model = task.initial_model(seed)
    initial: dict[str, Any] = {
        f"initial{place:03}": model.tensor(name)
        for place, (name, _) in enumerate(task.build().named_parameters())
    }
    np.savez(
        path,
        x=train.x,
        y=train.y,
        test_x=test.x,
        test_y=test.y,
        scale=train.scale if train.x.dtype == np.uint8 else 1.0,
        order=split.order,
        offsets=split.offsets,
        **initial,
    )


@contextmanager
def _started(arguments: list[Any], environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [_PYTHON, "-W", "ignore", _SIDE, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
    )
    try:
        yield process
    finally:
        assert process.stdin is not None
        process.stdin.close()
        try:
            process.wait(_END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        assert process.stdout is not None
        process.stdout.close()


def _environment(rank: int, processes: int, port: int) -> dict[str, str]:
    """What torchrun would set, if there is more than one."""
    alone = {**os.environ, "OMP_NUM_THREADS": "1"}
    if processes == 1:
        return alone
    return {
        **alone,
        "TORCHELASTIC_RUN_ID": "bench",
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(processes),
        "LOCAL_WORLD_SIZE": str(processes),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
