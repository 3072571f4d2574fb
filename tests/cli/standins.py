"""A lab and its runs that need no store and no training."""

from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace

import pyarrow as pa

from flnb.core.errors import NotFoundError
from flnb.core.view import Phase, RoundRow, RunView, Status
from flnb.store import Table

ROWS = tuple(
    RoundRow(
        number, {"accuracy": number / 50, "loss": 1 / number}, 10, 12, number % 2, 0.81, "9f3c"
    )
    for number in range(42, 34, -1)
)
VIEW = RunView(
    name="quiet-otter",
    branch="main",
    generation=1,
    status=Status.RUNNING,
    rounds=100,
    round=42,
    phase=Phase.COLLECTING,
    invited=12,
    accepted=8,
    bytes_up=812_000_000,
    started_at=datetime(2026, 3, 1, 12, tzinfo=UTC),
    seconds_a_round=0.81,
    rows=ROWS,
    headline="accuracy",
    curve=tuple((number, number / 50) for number in range(1, 43)),
    lab="lab",
)


class FakeRun:
    """A run that goes through the given pictures, one each time somebody looks for changes."""

    def __init__(self, *views, sha256="ab" * 32, why=None):
        self.source = SimpleNamespace(done=lambda: SimpleNamespace(result=lambda: why))
        self.views, self.told, self.parameters_sha256 = list(views), [], sha256
        self.driven_here = True
        self.plan = SimpleNamespace(
            model_dump=lambda mode: {"rounds": 100}, to_yaml=lambda: "rounds: 100\n"
        )

    @property
    def view(self):
        return self.views.pop(0) if len(self.views) > 1 else self.views[0]

    @property
    def name(self):
        return self.views[0].name

    def pause(self):
        self.told.append("pause")
        self.views = [replace(self.views[-1], status=Status.PAUSED)]

    def stop(self):
        self.told.append("stop")

    def on_change(self, callback):
        return lambda: None


class FakeLab:
    def __init__(self, *runs):
        self.all, self.asked, self.coordinator = list(runs), [], None
        self.changes = None
        self.answer = pa.table({"client": ["c000", "c<1>"], "n": [3, 4], "norm": [0.5, None]})

    def runs(self):
        return self.all

    def run(self, name):
        for run in self.all:
            if run.name == name:
                return run
        raise NotFoundError("run", name, [run.name for run in self.all])

    def run_of(self, name):
        return self.run(name)

    def resume(self, name, *, workers=None, changes=None):
        self.changes = changes
        return self.run(name)

    def sql(self, query, *, rows, timeout_s):
        self.asked.append((query, rows, timeout_s))
        return Table(self.answer)
