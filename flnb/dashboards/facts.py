"""What is known of the system, gathered in one go; blocks, so it is asked for in a thread."""

from __future__ import annotations

import contextlib
import os
import platform
from collections import Counter
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from flnb import __version__
from flnb.core import glance
from flnb.core.errors import FLBaseError
from flnb.dashboards import queries, words
from flnb.dashboards.access import Person
from flnb.dashboards.components import states
from flnb.dashboards.feed import Sight
from flnb.dashboards.sources import Live
from flnb.dashboards.targets import Target

_PACKAGES = ("panel", "bokeh", "duckdb", "icechunk", "torch", "grpcio")


def look(sight: Sight, target: Target, person: Person) -> Mapping[str, Any]:
    """Everything that the page System shows to a person: title to facts, or to HTML."""
    known: dict[str, Any] = {"Versions": versions()}
    known["lag_s"] = lag_s(sight)  # waits for the first look, which says how the coordinator stands
    known["Coordinator"] = coordinator(sight)
    known["Store"] = (
        target.facts()
        if person.may("operator")
        else states.denied("Where the lab lies", "operator")
    )
    if not person.may("operator"):
        known["Clients"] = states.denied("The list of clients", "operator")
        return known
    known["Clients"] = clients(sight)
    with contextlib.suppress(FLBaseError):  # the banner says that nobody answers
        known["log"] = queries.operations(sight.source)
    return known


def coordinator(sight: Sight) -> Mapping[str, str]:
    """How the coordinator stands, and since when."""
    standing = sight.now.standing
    told = {"Source": {"live": "a coordinator", "store": "the store"}.get(standing.kind, "nobody")}
    if standing.heard_at is not None:
        told["Last heard"] = words.clock(standing.heard_at)
    source = sight.source if standing.kind == "live" else None
    if isinstance(source, Live):
        there = source.connection.standing
        told |= {"Address": source.connection.address, "Running since": there.since or "–"}
        told |= {"Simulated clients": there.clients, "Runs": there.going}
    return told | ({"Note": standing.why} if standing.why else {})


def lag_s(sight: Sight) -> float | None:
    """How late the coordinator's loop was at most in the last 15 s; None while nobody can tell."""
    with contextlib.suppress(FLBaseError):
        if isinstance(source := sight.source, Live):
            return source.connection.loop_lag_s
    return None


def clients(sight: Sight) -> Any:
    """How many remote clients there are, by what they do."""
    source = sight.source
    if not isinstance(source, Live):
        return states.empty("Which remote clients are here is known while a coordinator runs.")
    states_of = Counter(row.state for row in source.connection.clients)
    if not states_of:
        return states.empty("No remote client has joined. Invite one:", "flnb client invite NAME")
    return {state: glance.count(number, "client") for state, number in states_of.items()}


def versions() -> Mapping[str, str]:
    """What runs here."""
    told = {"flnb": __version__, "Python": platform.python_version(), "System": platform.platform()}
    for name in _PACKAGES:
        try:
            told[name] = version(name)
        except PackageNotFoundError:
            continue
    return told | {"Process": str(os.getpid())}
