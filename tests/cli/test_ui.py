"""`flnb ui` in a terminal: a pass is handed over where other people of the machine cannot read it."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

import flnb as package
from flnb.cli import ui
from flnb.core.errors import PlanError
from flnb.transport import Pass


@pytest.fixture
def given(tmp_path):
    """A pass of a coordinator that listens."""
    with package.Coordinator(tmp_path / "lab") as coordinator:
        coordinator.listen()
        yield coordinator.token("ana", role="viewer", expires="1h").text


def arguments_of(pid):
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [Path(f"/proc/{one}/cmdline").read_bytes().decode() for one in (pid, *children)]


def test_a_pass_from_stdin_is_in_no_arguments(given):
    environment = {name: value for name, value in os.environ.items() if name != "FLNB_PASS"}
    with subprocess.Popen(
        [Path(sys.executable).with_name("flnb"), "ui", "-", "--json"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    ) as pages:
        pages.stdin.write(f"{given}\n")
        pages.stdin.flush()
        assert "sign-in?ticket=" in pages.stdout.readline()
        seen = arguments_of(pages.pid)
        pages.terminate()
        pages.communicate()
    assert len(seen) == 2
    assert not [one for one in seen if given[:20] in one or Pass.parse(given).token in one]


def test_a_pass_as_an_argument_is_handed_on_by_the_environment_and_warned_of(given, capsys):
    assert ui._handed_over(given) == ("-", {"FLNB_PASS": given})
    assert "others on this machine can read" in capsys.readouterr().err


def test_a_lab_and_nothing_at_all_are_told_as_they_were(monkeypatch, capsys):
    assert ui._handed_over("./lab") == ("./lab", {})
    assert ui._handed_over("") == ("-", {})
    monkeypatch.setattr(sys, "stdin", io.StringIO("flnbpass1.x.y\n"))
    assert ui._handed_over("-") == ("-", {"FLNB_PASS": "flnbpass1.x.y"})
    assert capsys.readouterr().err == ""


def test_without_a_pass_on_stdin_no_lab_is_opened_in_its_place(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n"))
    with pytest.raises(PlanError, match="no pass came"):
        ui._handed_over("-")
