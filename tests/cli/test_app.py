import os
import subprocess
import sys

import pytest

from flnb.cli import addresses, app, output
from flnb.core import errors

COMMANDS = ["quickstart", "run", "check", "runs list", "runs show", "runs watch", "runs pause"]
COMMANDS += ["runs resume", "runs stop", "sql", "doctor"]
COMMANDS += ["token give", "token list", "token revoke"]
COMMANDS += [
    "run branch",
    "run rollback",
    "run replay",
    "ckpt expire",
    "ckpt list",
    "ckpt diff",
    "ckpt alias",
    "ckpt export",
]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_help_has_one_example_and_fits_80_columns(flnb, command):
    shown = flnb(*command.split(), "--help")
    assert shown.code == 0
    assert shown.out.count(f"Example: flnb {command}") == 1
    assert max(len(line.rstrip()) for line in shown.out.splitlines()) <= 80


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_speaks_json(flnb, command):
    assert "--json" in flnb(*command.split(), "--help").out


def commands_of(group, name=""):
    for command in getattr(group, "commands", {}).values():
        yield from commands_of(command, f"{name} {command.name}".strip())
    if not hasattr(group, "commands"):
        yield name, [option for parameter in group.params for option in parameter.opts]


def test_every_command_that_takes_a_lab_takes_it_with_its_state():
    found = dict(commands_of(addresses.commands(app.app)))
    with_lab = {name for name, options in found.items() if "--lab" in options}
    assert {name for name, options in found.items() if "--state" in options} == with_lab | {"ui"}
    others = {"check", "client join", "client rotate", "new", "ui"}
    assert set(found) - with_lab - others == set()
    assert {name for name, options in found.items() if "named" in options} == {
        "coordinator serve",
        "doctor",
        "verify",
    }


def test_help_and_version_are_quick_and_load_nothing_heavy():
    heavy = "torch numpy pydantic duckdb sqlalchemy icechunk pandas IPython"
    program = (
        "import sys; sys.argv = ['flnb', '--help']\n"
        "from flnb.cli import main; main()\n"
        f"print(sorted(set('{heavy}'.split()) & set(sys.modules)), file=sys.stderr)"
    )
    said, ours_s = cost_of(program)
    _, own_s = cost_of(
        "import asyncio, dataclasses, inspect, json, logging, tempfile, unittest, zipfile"
    )
    assert said == "[]\n"
    assert ours_s < 5 * own_s


def cost_of(program):
    """What a program says on its standard error, and its least processor time of three times.

    A busy machine makes it wait, not work; a slow one is slow at Python's own modules, too.
    """
    costs_s = []
    for _ in range(3):
        before = os.times()
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
        after = os.times()
        costs_s.append(after.children_user + after.children_system)
        costs_s[-1] -= before.children_user + before.children_system
    return done.stderr, min(costs_s)


def test_version_is_one_line(flnb):
    shown = flnb("--version")
    assert (shown.code, shown.err) == (0, "")
    assert shown.out.startswith("flnb 0.")


@pytest.mark.parametrize("arguments", [["rnu"], ["run"], ["runs", "show"], ["sql", "x", "--nope"]])
def test_a_mistyped_command_is_bad_input(flnb, arguments):
    shown = flnb(*arguments)
    assert shown.code == 2
    assert shown.out == ""
    assert "Error" in shown.err


def test_a_plan_needs_no_word_before_it_and_a_mistyped_word_finds_its_command(flnb):
    assert "cannot read branches.yaml" in flnb("run", "branches.yaml").err
    assert "cannot read x.yaml" in flnb("run", "--set", "plan.rounds=2", "x.yaml").err
    assert "did you mean 'rollback'" in flnb("run", "rolback", "otter").err.lower()
    assert flnb("runs", "branch", "otter", "x").code == 2


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.PlanError("bad plan", hint="fix it"), 2),
        (errors.NotFoundError("run", "x", ["y"]), 2),
        (errors.AddressError("no bucket", hint="s3://bucket/prefix"), 2),
        (errors.LabHeldError("lab", "process 1", "14:02"), 3),
        (errors.StorageFullError("lab", 0), 1),
        (ValueError("boom"), 1),
        (KeyboardInterrupt(), 130),
    ],
)
def test_an_error_is_two_lines_and_its_own_exit_code(flnb, monkeypatch, error, code):
    def existing(path):
        raise error

    monkeypatch.setattr("flnb.cli.labs.existing", existing)
    shown = flnb("runs", "list")
    assert shown.code == code
    assert shown.out == ""
    assert "Traceback" not in shown.err
    if code != 130:
        message, hint = shown.err.splitlines()
        assert message.startswith("error: ")
        assert hint.startswith("→ ")


@pytest.mark.parametrize(
    ("hint", "typed"),
    [
        ("lab.resume('x') goes on", "flnb runs resume x goes on"),
        ("run.pause() and run.wait() first", "flnb runs pause RUN and run.wait() first"),
        ("run.history shows the names", "flnb ckpt list RUN shows the names"),
        ("run.replay(…, train=True) trains", "--train trains"),
        ('older_than="30d"', "--older-than 30d"),
        ("or ask for more with rows=…", "or ask for more with --rows"),
        ("give it longer with timeout_s=…", "give it longer with --timeout"),
    ],
)
def test_a_hint_names_commands_in_a_terminal(flnb, monkeypatch, hint, typed):
    def existing(path):
        raise errors.PlanError("no", hint=hint)

    monkeypatch.setattr("flnb.cli.labs.existing", existing)
    assert flnb("runs", "list").err.splitlines()[1] == f"→ {typed}"


def test_a_command_to_copy_finds_the_program_here(monkeypatch, tmp_path):
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "flnb"
    program.touch(mode=0o755)
    monkeypatch.setattr(sys, "argv", [str(program)])
    monkeypatch.setenv("PATH", "/nowhere")
    assert output.program() == str(program)
    monkeypatch.chdir(tmp_path)
    assert output.program() == "bin/flnb"
    monkeypatch.chdir(program.parent)
    assert output.program() == "./flnb"
    monkeypatch.setenv("PATH", str(program.parent))
    assert output.program() == "flnb"


def test_debug_shows_where_it_happened(flnb, monkeypatch):
    def existing(path):
        raise ValueError("boom")

    monkeypatch.setattr("flnb.cli.labs.existing", existing)
    shown = flnb("--debug", "runs", "list")
    assert "Traceback" in shown.err
    assert shown.err.splitlines()[-2] == "error: ValueError: boom"


def test_a_folder_that_is_no_lab_is_said_and_not_made_one(flnb, tmp_path):
    shown = flnb("runs", "list", "--lab", str(tmp_path / "absent"))
    assert shown.code == 2
    assert "--lab DIR" in shown.err
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_a_key_is_bad_input(flnb):
    shown = flnb("verify", "--key", "abcd")
    assert (shown.code, "64 digits" in shown.err) == (2, True)
