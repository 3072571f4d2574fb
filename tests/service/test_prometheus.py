"""Figures for Prometheus: who may read them, what they say, and that what looks at them finds them."""

import json
import re
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from service.conftest import caller, token_in

import flnb
from flnb.core.errors import PlanError

MONITORING = Path(__file__).parents[2] / "docs" / "monitoring"
NAME = re.compile(r"\bflnb_\w+")


@pytest.fixture(scope="module")
def coord(tmp_path_factory, task, plan):
    with flnb.Coordinator(tmp_path_factory.mktemp("figures") / "lab") as coordinator:
        coordinator.simulate(task, workers=0)
        coordinator.listen(http_port=0, metrics_open=True)
        with caller(coordinator.http, timeout=60) as open_to_all:
            assert open_to_all.get("/metrics").status_code == 200  # from here on rounds are counted
        yield coordinator


@pytest.fixture
def figures(coord, until):
    """What is shown now: name and labels to value."""

    def look():
        with caller(coord.http) as anybody:
            answer = anybody.get("/metrics")
        assert answer.headers["content-type"].startswith("text/plain")
        families = text_string_to_metric_families(answer.text)
        return {
            (one.name, *sorted(one.labels.values())): one.value
            for family in families
            for one in family.samples
        }

    return look


@pytest.fixture
def until():
    import time

    def wait(true, timeout_s=60):
        deadline_s = time.monotonic() + timeout_s
        while not true():
            assert time.monotonic() < deadline_s
            time.sleep(0.05)

    return wait


def test_rounds_are_counted_once_though_they_are_told_again(coord, figures, plan, task, until):
    coord.run(plan.replace(commit_every=4), task, name="counted").wait(60)
    until(lambda: figures().get(("flnb_rounds_total", "counted")) == 4)
    shown = figures()
    assert shown["flnb_updates_total", "accepted", "counted"] == 16
    assert shown["flnb_round_seconds_count", "counted"] == 4
    assert shown["flnb_run_round", "counted"] == shown["flnb_run_rounds", "counted"] == 4
    assert shown["flnb_run_status", "counted", "finished"] == 1
    assert shown["flnb_closing_seconds_count",] >= 4
    assert shown["flnb_up",] == 1
    assert shown["flnb_http_requests_total", "/metrics", "200", "GET"] >= 1


def test_every_figure_that_dashboard_and_alerts_name_is_shown(coord, figures, plan, task):
    coord.run(plan, task).wait(60)
    shown = {name for name, *_ in figures()} | {"flnb_updates_unused_total"}
    board = json.loads((MONITORING / "grafana-dashboard.json").read_text())
    rules = yaml.safe_load((MONITORING / "alerts.yaml").read_text())
    asked = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    asked += [one["query"]["query"] for one in board["templating"]["list"][1:]]
    alerts = [rule for group in rules["groups"] for rule in group["rules"]]
    asked += [rule["expr"] for rule in alerts]
    assert len(asked) > 20
    assert {name for query in asked for name in NAME.findall(query)} - shown == set()
    assert all(rule.keys() >= {"alert", "expr", "labels", "annotations"} for rule in alerts)
    ids = [panel["id"] for panel in board["panels"]]
    assert len(ids) == len(set(ids))


def test_every_figure_is_in_the_docs_and_the_other_way_round(coord, figures, plan, task):
    coord.run(plan, task).wait(60)
    ends = re.compile(r"_(total|count|sum|bucket|created)$")
    shown = {ends.sub("", name) for name, *_ in figures() if name.startswith("flnb_")}
    page = (MONITORING.parent / "events.md").read_text()
    told = {ends.sub("", name) for name in re.findall(r"`(flnb_\w+)", page)}
    assert told == shown | {"flnb_updates_unused"}


def test_without_being_open_it_asks_for_the_token_of_a_viewer(tmp_path):
    with flnb.Coordinator(tmp_path / "lab") as coordinator:
        coordinator.listen(http_port=0)
        given = {role: token_in(coordinator.lab, "x", role) for role in ("viewer", "client")}
        statuses = []
        for token in (None, "nonsense", given["client"], given["viewer"]):
            with caller(coordinator.http, token) as person:
                statuses.append(person.get("/metrics").status_code)
        assert statuses == [401, 401, 403, 200]


def test_it_is_never_open_beyond_this_machine(tmp_path):
    with flnb.Coordinator(tmp_path / "lab") as coordinator:
        with pytest.raises(PlanError, match="must not be open to everybody") as refused:
            coordinator.listen(http_port=0, http_host="10.9.8.7", metrics_open=True)
        assert "--role viewer" in refused.value.hint
