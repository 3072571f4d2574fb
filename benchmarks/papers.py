"""McMahan et al. 2017, Table 2 and Table 1 on MNIST: rounds to a target accuracy.

Brendan McMahan et al., "Communication-Efficient Learning of Deep Networks from Decentralized
Data", AISTATS 2017: 100 clients, a tenth of them a round, batches of 10, test accuracy made
monotone. As there, the learning rate is chosen first, here on seed 0; the figure is the median
over the seeds that follow, with its range.

Every finished run is a line of `docs/figures/papers.json`, so that an interrupted run of this file
goes on where it stopped. Everything goes through the coordinator, with journal, metrics and
history at their defaults.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import flnb
from benchmarks.rows import Row, circumstances
from flnb.core.view import RunView
from flnb.datasets import Partitioner

RESULTS = Path(__file__).parent.parent / "docs" / "figures" / "papers.json"


@dataclass(frozen=True, slots=True)
class Case:
    """One cell of the paper's tables."""

    name: str
    model: str
    shards: bool
    epochs: int
    target: float
    rates: tuple[float, ...]
    seeds: tuple[int, ...]
    most_rounds: int
    bar: int
    paper: int

    def split(self, seed: int) -> Partitioner:
        """How the paper spreads the examples over 100 clients."""
        if self.shards:
            return flnb.Shards(clients=100, per_client=2, seed=seed)
        return flnb.IID(clients=100, seed=seed)


CASES = (
    Case("2NN, E=1, IID, to 97 %", "2nn", False, 1, 0.97, (0.05, 0.1, 0.2), (1, 2, 3, 4, 5), 200, 75, 87),
    Case("2NN, E=1, two shards, to 97 %", "2nn", True, 1, 0.97, (0.05, 0.1, 0.2), (1, 2, 3, 4, 5), 900, 500, 664),
    Case("CNN, E=5, IID, to 99 %", "cnn", False, 5, 0.99, (0.1, 0.2), (1, 2, 3), 40, 24, 20),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Outcome:
    """One run: when it met the target, and its curve."""

    case: str
    seed: int
    lr: float
    rounds_to_target: int | None
    curve: list[float]
    seconds: float
    machine: str
    date: str


def rows() -> Iterator[Row]:
    """Run what is missing, and give the figures."""
    for case in CASES:
        lr = chosen_rate(case)
        met = [finished(case, seed, lr).rounds_to_target for seed in case.seeds]
        values = [float(value if value is not None else case.most_rounds) for value in met]
        yield Row.of(
            f"{case.name}, lr {lr}, {len(case.seeds)} seeds",
            values,
            "rounds",
            peer="McMahan et al. 2017",
            peer_values=[float(case.paper)],
            bar=f"<= {case.bar}",
        )


def chosen_rate(case: Case) -> float:
    """The rate that meets the target first on seed 0, which is in no figure."""
    tried = {lr: finished(case, 0, lr) for lr in case.rates}
    return min(
        tried,
        key=lambda lr: (tried[lr].rounds_to_target or case.most_rounds, -max(tried[lr].curve)),
    )


def finished(case: Case, seed: int, lr: float) -> Outcome:
    """Look a run up, or run it and note it."""
    known = (
        [Outcome(**line) for line in json.loads(RESULTS.read_text())] if RESULTS.exists() else []
    )
    for outcome in known:
        if (outcome.case, outcome.seed, outcome.lr) == (case.name, seed, lr):
            return outcome
    outcome = train(case, seed, lr)
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    lines = ",\n".join(json.dumps(asdict(one)) for one in [*known, outcome])
    RESULTS.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    print(
        f"{case.name}, seed {seed}, lr {lr}: {outcome.rounds_to_target} rounds, {outcome.seconds:.0f} s",
        flush=True,
    )
    return outcome


def train(case: Case, seed: int, lr: float) -> Outcome:
    """Run until the target is met (or it takes too long), and stop."""
    task = flnb.tasks.mnist(model=case.model, split=case.split(seed))
    local = flnb.Local(epochs=case.epochs, batch_size=10, lr=lr)
    plan = flnb.Plan(
        strategy=flnb.FedAvg(local=local), rounds=case.most_rounds, invite=10, seed=seed
    )
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, flnb.Coordinator(folder) as coordinator:
        coordinator.simulate(task)
        run = coordinator.run(plan, task)

        def stop_at_target(view: RunView) -> None:
            reached = max((value for _, value in view.curve), default=0.0) >= case.target
            if reached and not view.status.over:
                run.stop()

        run.on_change(stop_at_target)
        run.wait()
        central = run.metrics.df().query("scope == 'central' and metric == 'accuracy'")
        curve = [round(float(value), 5) for value in central.sort_values("round")["value"]]
    best = [max(curve[: index + 1]) for index in range(len(curve))]
    met = next((index + 1 for index, value in enumerate(best) if value >= case.target), None)
    where = circumstances()
    return Outcome(
        case.name, seed, lr, met, curve, time.monotonic() - began, where["machine"], where["date"]
    )
