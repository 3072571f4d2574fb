"""`flnb report`: which file is written, and what is said of it."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest


@pytest.fixture
def reported(lab, monkeypatch, tmp_path):
    """What the run was asked for; the report is of five bytes."""
    asked = {}

    def report(path, *, clients):
        asked.update(path=str(path), clients=clients)
        Path(path).write_text("hello")
        return Path(path)

    monkeypatch.chdir(tmp_path)
    lab.all[0].report = report
    return asked


def test_a_report_is_called_after_its_run_unless_somebody_says_where(flnb, reported):
    shown = flnb("report", "quiet-otter")
    assert (shown.code, shown.out) == (0, "")
    assert shown.err == "wrote quiet-otter.html, 5 B\n"
    assert reported == {"path": "quiet-otter.html", "clients": True}
    flnb("report", "quiet-otter", "-o", "x.html", "--no-clients")
    assert reported == {"path": "x.html", "clients": False}


def test_as_json_a_report_says_where_it_lies_and_how_the_run_stands(flnb, reported):
    told = json.loads(flnb("report", "quiet-otter", "--json").out)
    assert (told["report"], told["bytes"]) == ("quiet-otter.html", 5)
    assert (told["run"], told["status"], told["metrics"]["accuracy"]) == ("quiet-otter", "running", 0.84)  # fmt: skip


def test_a_run_that_is_not_there_has_no_report(flnb, reported):
    shown = flnb("report", "quiet-oter")
    assert shown.code == 2
    assert "quiet-otter" in shown.err
    assert reported == {}


def test_a_study_has_a_report_under_its_own_name(flnb, lab, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    view = SimpleNamespace(name="alpha", counts={"finished": 12}, total=12, note="")

    def report(path):
        Path(path).write_text("hello")
        return Path(path)

    asked = SimpleNamespace(report=None)
    lab.study = lambda name: SimpleNamespace(name=name, asked=asked, report=report, status=view)
    assert flnb("study", "report", "alpha").err == "wrote alpha.html, 5 B\n"
    told = json.loads(flnb("study", "report", "alpha", "-o", "x.html", "--json").out)
    assert told == {"study": "alpha", "cells": 12, "outcomes": {"finished": 12}, "note": "", "report": "x.html", "bytes": 5}  # fmt: skip
