"""The report of one run: what it was asked to do, what came of it, who took part, and where it stands.

Everything is asked of the run's own handle, here or through `flnb.connect`; what the role of a connection may
not see is left out, and the report says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flnb.core.clock import SYSTEM_CLOCK
from flnb.core.errors import AccessRefusedError, QueryRefusedError
from flnb.experiments.report import run_parts
from flnb.experiments.report.elements import Section
from flnb.experiments.report.page import Framed, page, save
from flnb.store import HIDDEN, settings_viewed

if TYPE_CHECKING:
    import pandas as pd

    from flnb.coordinator.history.walk import Walk
    from flnb.coordinator.run import Run
    from flnb.core.view import RunView

_MOST_ROWS, _ASK_S = 1_000_000, 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """All that a report of a run tells; a snapshot of the moment it was made."""

    view: RunView
    plan: Mapping[str, Any]
    record: Mapping[str, Any]
    """Its row in the table `runs`."""
    rounds: pd.DataFrame
    metrics: pd.DataFrame
    band: pd.DataFrame | None
    """5 %, 50 % and 95 % of the clients' training loss by round; None if single clients are not told of."""
    clients: pd.DataFrame | None
    """What each client did, one row a client."""
    history: Walk
    operations: pd.DataFrame | None
    """Who did what to it, when and why."""
    parameters_sha256: str


def write(run: Run, path: str | Path, *, clients: bool = True) -> Path:
    """Write the report of a run; see `Run.report`."""
    return save(markup(facts_of(run, clients=clients)), path)


def shown(run: Run, *, clients: bool = True) -> Framed:
    """The report of a run in a cell; see `Run.report_cell`."""
    return Framed(f"Report of run {run.name}", markup(facts_of(run, clients=clients)))


def facts_of(run: Run, *, clients: bool = True) -> RunFacts:
    """Ask for everything that the report tells.

    Args:
        run: The run.
        clients: Whether single clients are named, and the words of who steered the run, which may name some.
    """
    source = run.source
    record = next(iter(_asked(run, f"SELECT * FROM runs WHERE id = '{run.id}'").to_dict("records")))  # noqa: S608  # an identity is ours
    operations = band = of_clients = None
    if clients:
        try:
            band = _asked(run, _BAND.format(line=source.line))
            of_clients = _asked(run, _CLIENTS.format(line=source.line))
            operations = run.operations.df()
        except (AccessRefusedError, QueryRefusedError):  # a viewer is told of aggregates
            operations = band = of_clients = None
    view, plan = run.view, run.plan.model_dump(mode="json")
    if not clients:
        view = replace(view, error=HIDDEN if view.error else "")  # it may quote one
        shown = settings_viewed(plan)
        record["plan_hash"] = record["plan_hash"] if shown == plan else ""
        plan = shown
    return RunFacts(
        view=view,
        plan=plan,
        record={str(name): told for name, told in record.items()},
        rounds=run.rounds.df(),
        metrics=run.metrics.df(),
        band=band,
        clients=of_clients,
        history=run.history,
        operations=operations,
        parameters_sha256=run.parameters_sha256,
    )


def markup(facts: RunFacts) -> str:
    """The report as HTML."""
    sections = [
        Section("Results", run_parts.results(facts)),
        Section("Rounds", run_parts.rounds(facts)),
        Section("Participants", run_parts.participants(facts)),
        Section("Configuration", run_parts.configuration(facts)),
        Section("History", run_parts.history(facts)),
        Section("Environment and code", run_parts.environment(facts)),
    ]
    title = str(facts.view.name)
    return page("Federated run", title, run_parts.lead(facts), sections, written=SYSTEM_CLOCK.now())


def _asked(run: Run, query: str) -> pd.DataFrame:
    return run.source.ask(query, rows=_MOST_ROWS, timeout_s=_ASK_S).df()


_BAND = (
    "SELECT round, quantile_cont(loss, .05) AS low, quantile_cont(loss, .5) AS mid, "
    "quantile_cont(loss, .95) AS high FROM updates WHERE {line} AND accepted AND isfinite(loss) "
    "GROUP BY round ORDER BY round"
)
_CLIENTS = (
    "SELECT a.client, count(*) AS invited, count(*) FILTER (a.outcome = 'accepted') AS used, "
    "count(*) FILTER (a.outcome = 'refused') AS refused, count(*) FILTER (a.outcome = 'failed') AS failed, "
    "count(*) FILTER (a.outcome IN ('lost', 'late')) AS missed, max(u.n_examples) AS examples, "
    "avg(u.loss) FILTER (u.accepted AND isfinite(u.loss)) AS loss, sum(u.train_s) AS train_s "
    "FROM (SELECT * FROM assignments WHERE {line}) AS a LEFT JOIN (SELECT * FROM updates WHERE {line}) AS u "
    "USING (run, branch, generation, round, client) GROUP BY a.client ORDER BY invited DESC, a.client"
)
