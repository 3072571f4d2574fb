"""The command line as a person has it: processes, a real lab, signals.

The first run is one of an interpreter that starts; later ones are forked from one that has.
"""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from tests.interpreters import FLNB

PLAN = """
task: {use: "flnb.tasks:digits", with: {clients: 20}}
simulate: {workers: 0}
plan: {rounds: ROUNDS, invite: 5, commit_every: 1}
name: NAME
"""
QUICKSTART_KEYS = {"run", "lab", "rounds", "accuracy", "seconds", "parameters_sha256"}


LINES = {"FLNB_PROGRESS": "lines", "NO_COLOR": "1"}


@pytest.fixture(scope="module")
def start(interpreters, folder):
    """Begins a command."""
    begun = []

    def command(*arguments):
        begun.append(interpreters.start(FLNB, *arguments, cwd=folder, **LINES))
        return begun[-1]

    yield command
    for process in begun:
        process.close()


@pytest.fixture(scope="module")
def call(start):
    """Runs a command to its end."""

    def command(*arguments):
        process = start(*arguments)
        out, err = process.communicate(timeout=100)
        return process.returncode, out, err

    return command


def say(folder, name, rounds):
    text = PLAN.replace("ROUNDS", str(rounds)).replace("NAME", name)
    (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    return f"{name}.yaml"


def after_round(process, number):
    """Read the process's lines until it has closed so many rounds."""
    for line in process.stderr:
        if line.startswith("round") and int(line.split("/")[0].split()[1]) >= number:
            return
    pytest.fail("the run ended before that round")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("journey")


@pytest.fixture(scope="module")
def first(folder):
    command = [sys.executable, "-c", f"import sys; {FLNB}", "quickstart", "--json", "--rounds", "2"]
    environment = os.environ | LINES | {"PYTHONPATH": os.getcwd()}
    pipes = {"capture_output": True, "text": True, "timeout": 100}
    done = subprocess.run(command, cwd=folder, env=environment, check=False, **pipes)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr


def test_quickstart_prints_one_object_and_talks_on_stderr(folder, first):
    result, err = first
    assert set(result) == QUICKSTART_KEYS
    assert result["rounds"] == 2
    assert result["lab"] == str(folder / "lab")
    assert err.splitlines()[1].startswith("starting: ")
    assert 0 < result["accuracy"] <= 1
    assert len(result["parameters_sha256"]) == 64
    assert [line.split()[1] for line in err.splitlines() if line[:5] == "round"] == ["1/2", "2/2"]
    assert [path.name for path in folder.iterdir()] == ["lab"], "nothing outside its lab"


def test_the_run_can_be_listed_and_asked(call, first):
    name = first[0]["run"]
    query = "SELECT value FROM metrics WHERE metric = 'accuracy' AND round = 2"
    code, out, err = call("sql", query, "--json")
    assert (code, err) == (0, "")
    assert json.loads(out) == [{"value": pytest.approx(first[0]["accuracy"])}]
    code, out, err = call("runs", "list", "--json")
    assert (code, err) == (0, "")
    assert [(run["run"], run["status"]) for run in json.loads(out)] == [(name, "finished")]


def test_an_interrupted_run_is_saved_and_resumed_by_the_command_it_names(folder, start, call):
    process = start("run", say(folder, "cut", 20), "--lab", "b")
    after_round(process, 2)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "cut is paused after round" in err
    assert err.endswith("→ flnb runs resume cut --lab b\n")
    code, out, err = call("runs", "resume", "cut", "--json", "--lab", "b")
    assert code == 0, err
    assert (json.loads(out)["status"], json.loads(out)["round"]) == ("finished", 20)


def test_a_run_is_paused_from_another_terminal(folder, start, call):
    process = start("run", say(folder, "long", 100_000), "--lab", "c")
    after_round(process, 1)
    code, out, err = call("runs", "pause", "long", "--lab", "c")
    assert (code, out) == (0, "")
    assert "asked long to pause" in err
    started = time.monotonic()
    process.communicate(timeout=60)
    assert process.returncode == 1
    assert time.monotonic() - started < 30
    code, out, _ = call("runs", "watch", "long", "--json", "--lab", "c")
    assert (code, json.loads(out)["status"]) == (0, "paused")


def test_a_folder_that_holds_something_else_is_left_alone(folder, call):
    (folder / "mine").mkdir()
    (folder / "mine" / "thesis.tex").write_text("precious", encoding="utf-8")
    code, out, err = call("quickstart", "--lab", "mine", "--rounds", "1")
    assert (code, out) != (0, "")
    assert "Traceback" not in err
    assert [path.name for path in (folder / "mine").iterdir()] == ["thesis.tex"]
