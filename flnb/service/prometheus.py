"""Figures for Prometheus: what this service counts, and what the coordinator tells of itself.

Counters begin at nothing with each start of the service, as Prometheus expects.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import accumulate
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from flnb.core.durations import BOUNDS_S
from flnb.core.view import Status
from flnb.service.events.event import Event
from flnb.service.events.fanout import Fanout

_ROUND_S = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)
_CLIENT_STATES = ("idle", "training", "offline", "revoked", "invited")
_OUTCOMES = ("accepted", "refused", "failed", "lost", "late")


class Figures:
    """All that `/metrics` shows.

    Args:
        fanout: Hears of closed rounds, and knows who listens.
    """

    def __init__(self, fanout: Fanout) -> None:
        self._fanout = fanout
        self._registry = registry = CollectorRegistry()
        self._rounds = Counter("flnb_rounds", "Closed rounds", ["run"], registry=registry)
        self._round_s = Histogram(
            "flnb_round_seconds",
            "From a round's opening to its close",
            ["run"],
            buckets=_ROUND_S,
            registry=registry,
        )
        self._bytes_up = Counter(
            "flnb_update_bytes", "What used updates weigh on a wire", ["run"], registry=registry
        )
        self._outcomes = Counter(
            "flnb_updates",
            "What became of invited clients in closed rounds",
            ["run", "outcome"],
            registry=registry,
        )
        self._requests = Counter(
            "flnb_http_requests",
            "Requests answered",
            ["method", "route", "status"],
            registry=registry,
        )
        self._request_s = Histogram(
            "flnb_http_request_seconds",
            "From a request's first byte to its answer's last",
            ["route"],
            buckets=BOUNDS_S,
            registry=registry,
        )
        self._counted: dict[tuple[str, int], int] = {}
        hub = fanout.hubs["viewer"]
        hub.on_event = self._heard

    def asked(self, method: str, route: str, status: int, took_s: float) -> None:
        """Count a request that was answered."""
        self._requests.labels(method, route, str(status)).inc()
        self._request_s.labels(route).observe(took_s)

    def text(self, vitals: Mapping[str, Any] | None) -> bytes:
        """Everything, as Prometheus reads it.

        Args:
            vitals: What the coordinator tells of itself; None when it is gone.
        """
        once = CollectorRegistry()
        once.register(_Families([*self._of_service(vitals), *_of_coordinator(vitals or {})]))
        return generate_latest(self._registry) + generate_latest(once)

    def _heard(self, event: Event) -> None:
        """Count a round; once, though it is told again when it gets its commit."""
        if event.kind != "round_complete":
            return
        told = json.loads(event.data)
        line = told["run_id"], told["generation"]
        if told["round"] <= self._counted.get(line, 0):
            return
        self._counted[line] = told["round"]
        self._rounds.labels(event.run).inc()
        self._round_s.labels(event.run).observe(told["seconds_s"])
        self._bytes_up.labels(event.run).inc(told["bytes_up"])
        for outcome in _OUTCOMES:
            self._outcomes.labels(event.run, outcome).inc(told[outcome])

    def _of_service(self, vitals: Mapping[str, Any] | None) -> Iterator[Metric]:
        yield _gauge("flnb_up", "Whether the coordinator answers", {(): float(vitals is not None)})
        hubs = self._fanout.hubs
        listening = {(role,): float(len(hub.listeners)) for role, hub in hubs.items()}
        yield _gauge("flnb_listeners", "Who listens to events", listening, "role")
        dropped = CounterMetricFamily(
            "flnb_listeners_dropped", "Listeners that were too slow", labels=["role"]
        )
        for role, hub in hubs.items():
            dropped.add_metric([role], hub.dropped)
        yield dropped


class _Families:
    """Families of figures that are there already."""

    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> list[Metric]:
        """Give them."""
        return self._families


def _of_coordinator(vitals: Mapping[str, Any]) -> Iterator[Metric]:
    """What the coordinator tells; nothing while it is gone."""
    if not vitals:
        return
    runs = vitals["runs"]
    for name, told, words in (
        ("flnb_run_round", "round", "The last closed round"),
        ("flnb_run_rounds", "rounds", "Rounds planned"),
        ("flnb_run_invited", "invited", "Clients of the open round"),
        ("flnb_run_answered", "answered", "Clients of the open round that need not be waited for"),
    ):
        yield _gauge(name, words, {(one["name"],): one[told] for one in runs}, "run")
    states = {
        (one["name"], state.value): float(one["status"] == state)
        for one in runs
        for state in Status
    }
    yield _gauge("flnb_run_status", "1 at what the run is doing", states, "run", "status")
    # Also of states in which nobody is: an alert must see a 0, not nothing.
    counts = dict.fromkeys(_CLIENT_STATES, 0) | vitals["clients"]
    clients = {(state,): count for state, count in counts.items()}
    yield _gauge("flnb_clients", "Remote clients by what they do", clients, "state")
    waiting = {(queue,): count for queue, count in vitals["waiting"].items()}
    yield _gauge("flnb_waiting", "What waits for a thread of the coordinator", waiting, "queue")
    lag = {(): vitals["loop_lag_s"]}
    yield _gauge("flnb_loop_lag_seconds", "How late the loop was at most in the last 15 s", lag)
    unused = CounterMetricFamily(
        "flnb_updates_unused", "Updates not used, by why", labels=["outcome", "reason"]
    )
    for outcome, reason, count in vitals["unused"]:
        unused.add_metric([outcome, reason], count)
    yield unused
    yield _histogram("flnb_closing_seconds", "Closing transactions", vitals["closing_s"])


def _gauge(name: str, words: str, values: Mapping[Any, float], *labels: str) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, words, labels=labels)
    for of, value in values.items():
        family.add_metric(of, value)
    return family


def _histogram(name: str, words: str, told: Mapping[str, Any]) -> HistogramMetricFamily:
    family = HistogramMetricFamily(name, words)
    bounds = [*map(str, told["bounds_s"]), "+Inf"]
    counts = list(accumulate(told["counts"]))
    family.add_metric([], list(zip(bounds, counts, strict=True)), told["total_s"])
    return family
