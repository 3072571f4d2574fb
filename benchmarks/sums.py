"""Exact sums: how fast, and that order and number of workers change no bit.

Measured on two models of the field: 1.6 million parameters in 10 tensors (the CIFAR network of
McMahan et al. 2017) and 11 million in 62 (a ResNet-18).
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256

import numpy as np

import flnb
from benchmarks.driving import coordinator_for, finished
from benchmarks.rows import Row
from benchmarks.timing import alternate, seconds
from flnb.core import Plan
from flnb.tensors import CohortSum, Layout, Update

MODELS = {"1.6 M in 10 tensors": (10, 1_600_000), "11 M in 62 tensors": (62, 11_000_000)}
WORKERS = (1, 2, 7)


def rows() -> Iterator[Row]:
    """Measure speed, then compare bits."""
    for name, (n_tensors, n_parameters) in MODELS.items():
        yield speed(name, layout_of(n_tensors, n_parameters))
    digests = set(shuffled_sums(layout_of(10, 100_000)))
    yield equal("exact sum of 200 updates, 1, 2 and 7 parts, shuffled", digests)
    digests = {parameters_with(workers) for workers in WORKERS}
    yield equal("5 rounds of digits with 1, 2 and 7 workers", digests)


def layout_of(n_tensors: int, n_parameters: int) -> Layout:
    """Equal tensors."""
    shape = (n_parameters // n_tensors,)
    return Layout.of((f"layer{i}", shape, "float32", "parameter") for i in range(n_tensors))


def speed(name: str, layout: Layout) -> Row:
    """Fold updates into an exact sum, beside copying the same bytes."""
    random = np.random.default_rng(0)
    updates = [update(layout, random, 1e-3) for _ in range(4)]
    gigabytes = sum(one.values.nbytes for one in updates) / 1e9
    sums, target = CohortSum(layout), np.empty(layout.n_values, np.float32)

    def fold() -> None:
        for one in updates:
            sums.fold(one, 40)

    def copy() -> None:
        for one in updates:
            np.copyto(target, one.values)

    ours, peer = alternate(
        lambda: gigabytes / seconds(fold), lambda: gigabytes / seconds(copy), times=15
    )
    return Row.of(f"exact sum, {name}", ours, "GB/s", peer="memcpy", peer_values=peer, bar=">= 1.5")


def shuffled_sums(layout: Layout) -> Iterator[str]:
    """Digests of one mean, summed in parts and orders of all kinds."""
    random = np.random.default_rng(0)
    scales = 10.0 ** random.uniform(-6, 3, 200)
    updates = [update(layout, random, scale) for scale in scales]
    weights = random.integers(1, 5000, len(updates))
    for parts in WORKERS:
        for _ in range(3):
            sums = [CohortSum(layout) for _ in range(parts)]
            for position, index in enumerate(random.permutation(len(updates))):
                sums[position % parts].fold(updates[index], int(weights[index]))
            whole = CohortSum(layout)
            for part in random.permutation(parts):
                whole.merge(sums[part])
            yield sha256(whole.mean().values.tobytes()).hexdigest()


def parameters_with(workers: int) -> str:
    """Digest of the parameters after five rounds."""
    task = flnb.tasks.digits("mlp")
    with coordinator_for(task, workers=workers) as coordinator:
        return finished(coordinator, Plan(rounds=5, invite=15), task).parameters_sha256


def equal(name: str, digests: set[str]) -> Row:
    """Whether all digests are the same."""
    return Row.of(f"{name}: different results", [len(digests)], "", bar="<= 1")


def update(layout: Layout, random: np.random.Generator, scale: float) -> Update:
    """A random update of about this size."""
    values = np.float32(scale) * random.standard_normal(layout.n_values, np.float32)
    return Update(layout, values, np.zeros(layout.n_integers, np.int64))
