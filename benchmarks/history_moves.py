"""Heads that move: a roll back and a branch at 1 MB and 4 GB of parameters, and the resume after one.

The module of the task has one weight, a single number that looks like as many as the model has: it
takes no memory, and what is measured handles the version and never the module. Its one client
answers with an error, so that a resumed run rests again as soon as its order was given.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import harmonic_mean

import numpy as np
import torch
from torch import Tensor, nn

import flnb
from benchmarks.halves import Absent
from benchmarks.rows import Row
from benchmarks.timing import seconds
from benchmarks.written import new_run, out_of_memory, random_values, write_rounds
from flnb.core import Evaluation, Plan
from flnb.core.errors import InsufficientClientsError
from flnb.store import LabStore
from flnb.tasks import Task
from flnb.tensors import Model

SIZES = {"1 MB": 250_000, "4 GB": 1_000_000_000}
PLAN = Plan(strategy=Absent(), rounds=10, invite=1, evaluation=Evaluation(central_every=0))
_PART = 1 << 24


class OneNumber(nn.Module):
    """A weight of many values that are all the same one."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1).expand(n))

    def forward(self, inputs: Tensor) -> Tensor:
        """Something that has a gradient."""
        return inputs.flatten(1)[:, :2] * self.weight[0]


@dataclass(frozen=True, slots=True)
class Held:
    """A run of two committed rounds, and a file of as many bytes as one of them."""

    store: LabStore
    run: flnb.Run
    folder: Path
    file: Path


def rows(*, times: int = 15, reads: int = 7) -> Iterator[Row]:
    """Move heads of both sizes in turns, then resume at both."""
    with ExitStack() as stack:
        held = {name: stack.enter_context(two_rounds(n)) for name, n in SIZES.items()}
        yield from moves(held, times)
        for name, one in held.items():
            yield from resumes(name, one, reads)


def moves(held: dict[str, Held], times: int) -> Iterator[Row]:
    """Milliseconds of a roll back (preview and apply) and of a branch, in turns."""
    took: dict[tuple[str, str], list[float]] = {}
    for turn in range(times):
        for name, one in held.items():
            branch = partial(one.run.branch, f"b{turn}", at=1)
            for what, action in (("roll back", partial(there, one)), ("branch", branch)):
                took.setdefault((what, name), []).append(1e3 * seconds(action))
    for (what, name), values in took.items():
        yield Row.of(f"{what}, {name} of parameters", values, "ms", bar="<= 100")
    small, large = held
    for what in ("roll back", "branch"):
        medians = [float(np.median(took[what, name])) for name in (large, small)]
        ratio = medians[0] / medians[1]
        yield Row.of(f"{what}: {large} over {small}", [ratio], "times", bar="<= 1.5")


def there(held: Held) -> None:
    """Move the head to the first round, or back to the second."""
    state, run = held.store.state, held.run
    last = state.run(run.id).generation - 1
    run.rollback(1 if state.head(run.id).round == 2 else f"before-rollback-{last}").apply("why")


def resumes(name: str, one: Held, times: int) -> Iterator[Row]:
    """From an applied roll back to the first client's order, beside reading as many bytes.

    Neither the commit nor the file is in the page cache when it is read; the kernel says how much came from
    the disk. In each turn the file is read before and after, for a disk is not as quick all the time (one of
    the two often takes twice as long as the other): its speed is all that was read over all that it took. The
    first turn does not count.
    """
    ours, disk, shares, from_disk = list[float](), list[float](), list[float](), list[float]()
    for turn in range(times + 1):
        there(one)
        reads = [cold(one, lambda: read(one.file))]
        mine = cold(one, lambda: first_order(one))
        with suppress(InsufficientClientsError):
            one.run.wait(60)
        reads.append(cold(one, lambda: read(one.file)))
        if turn:
            ours.append(mine[0])
            disk.append(harmonic_mean([speed for speed, _ in reads]))
            shares.append(ours[-1] / disk[-1])
            from_disk += [share for _, share in (mine, *reads)]
    what = f"roll back to first order, {name}, cold"
    large = one.file.stat().st_size > 1e9
    yield Row.of(what, ours, "MB/s", peer="reading one file, cold", peer_values=disk)
    bar = ">= 0.5" if large else ""
    yield Row.of(f"{what}: share of the disk's speed", shares, "times", bar=bar)
    yield Row.of(f"{what}: least share that came from the disk", [min(from_disk)], "times")


def cold(one: Held, action: Callable[[], None]) -> tuple[float, float]:
    """Megabytes a second of something that reads all of a version, and how much of it the disk gave."""
    n_bytes = one.file.stat().st_size
    out_of_memory(one.folder, one.file)
    before = _from_disk()
    took_s = seconds(action)
    return n_bytes / 1e6 / took_s, (_from_disk() - before) / n_bytes


def first_order(held: Held) -> None:
    """Resume, and wait until the first client was given its work."""
    pause_s = max(1e-3, held.file.stat().st_size / 1e11)  # to look costs processor time, too
    held.run.resume()
    state, run = held.store.state, held.run.id
    while not (state.journal_of_open_round(run) or state.attempts(run)):  # it may be over by now
        time.sleep(pause_s)


def read(file: Path) -> None:
    """Read a file into memory of one mebibyte."""
    part = bytearray(1 << 20)
    with file.open("rb", buffering=0) as opened:
        while opened.readinto(part):
            pass


def _from_disk() -> int:
    """Bytes that disks gave to this process so far; what the page cache gave is not in it."""
    fields = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(fields["read_bytes"])


@contextmanager
def two_rounds(n: int) -> Iterator[Held]:
    """A lab with a run of two rounds whose versions have n values and differ in one of them."""
    with tempfile.TemporaryDirectory(prefix="flnb-bench-") as folder:
        file = Path(folder) / "values"
        with file.open("wb") as opened:
            for start in range(0, n, _PART):
                opened.write(random_values(min(_PART, n - start), seed=start).data)
        task = one_number(n)
        with flnb.Coordinator(Path(folder) / "lab") as coordinator:
            coordinator.simulate(task, workers=0)
            store = coordinator.lab.store
            record = new_run(store, PLAN, task, "long")
            write_rounds(store, record, PLAN, versions(task, file))
            store.history.close()  # and with it the last version
            run = coordinator.lab.run("long")
            yield Held(store, run, Path(folder) / "lab" / "history", file)


def versions(task: Task, file: Path) -> Iterator[Model]:
    """The values of a file, mapped and not read into memory; then the same but for the first one."""
    for change in (0, 1):
        values = np.memmap(file, np.float32, mode="c")
        values[0] += change
        values.flags.writeable = False
        yield Model(task.layout, values, np.zeros(0, np.int64))


def one_number(n: int) -> Task:
    """A task with a model of n values."""
    x, y = np.zeros((4, 2), np.float32), np.arange(4) % 2
    return Task(model=lambda: OneNumber(n), train=(x, y), split=flnb.IID(clients=1), name="light")
