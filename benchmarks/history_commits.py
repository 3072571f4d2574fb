"""What a commit writes, and how quickly: a version of which little changed, and one that is all new.

A commit is on the disk when it ends, and so is the plain file beside it.
"""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.rows import Row
from benchmarks.timing import alternate, seconds
from benchmarks.written import on_disk, random_values
from flnb.store import History, HistoryWriter
from flnb.tensors import Layout

LAYERS = 20
N_BYTES = 400_000_000


def rows(*, times: int = 5) -> Iterator[Row]:
    """Measure both."""
    for n_bytes in (64_000_000, N_BYTES):
        yield from one_layer(n_bytes)
    yield from all_new(N_BYTES, times)


def one_layer(n_bytes: int) -> Iterator[Row]:
    """Layers that are written when one of twenty has changed in every value."""
    layers = [
        (f"layer{k}", (n_bytes // 4 // LAYERS,), "float32", "parameter") for k in range(LAYERS)
    ]
    layout = Layout.of(layers)
    values = random_values(layout.n_values)
    with tempfile.TemporaryDirectory(prefix="flnb-bench-") as folder:
        history = History(Path(folder) / "history")
        history.write("r", {"parameters": values}, {})  # type: ignore[arg-type]
        files, size = on_disk(Path(folder))
        slot = layout.slot("layer7")
        values[slot.span] += 1
        history.write("r", {"parameters": values}, {})  # type: ignore[arg-type]
        more_files, more = on_disk(Path(folder))
    name = f"commit of {n_bytes // 1_000_000} MB, 1 of {LAYERS} layers changed"
    bar = "<= 1.1" if n_bytes > 100_000_000 else ""
    yield Row.of(f"{name}: written", [(more - size) / (4 * slot.size)], "layers", bar=bar)
    yield Row.of(f"{name}: new files", [more_files - files], "")


def all_new(n_bytes: int, times: int) -> Iterator[Row]:
    """Megabytes a second of a commit by the writer process, beside a plain file."""
    values = random_values(n_bytes // 4)
    with tempfile.TemporaryDirectory(prefix="flnb-bench-") as folder:
        writer, files = HistoryWriter(Path(folder) / "history"), itertools.count()
        writer.start()

        def commit() -> float:
            values[::1000] += 1  # in every chunk
            return n_bytes / 1e6 / seconds(lambda: _commit(writer, values))

        def plain() -> float:
            # A new file each time: pages of one that was deleted are quicker.
            file = Path(folder) / f"plain-{next(files)}"
            return n_bytes / 1e6 / seconds(lambda: _plain(file, values))

        ours, peer = alternate(commit, plain, times=times)
        name = f"commit of {n_bytes // 1_000_000} MB, on the disk at the end"
        yield Row.of(name, ours, "MB/s", peer="plain file, fsync", peer_values=peer)
        shares = [mine / other for mine, other in zip(ours, peer, strict=True)]
        yield Row.of(f"{name}: share of a plain file's speed", shares, "times", bar=">= 0.3")
        writer.close()


def _commit(writer: HistoryWriter, values: np.ndarray) -> None:
    writer.submit("r", {"parameters": values}, {}).wait()  # type: ignore[arg-type]


def _plain(file: Path, values: np.ndarray) -> None:
    with file.open("wb", buffering=0) as opened:
        opened.write(values.data)
        os.fsync(opened.fileno())
