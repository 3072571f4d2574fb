"""The leak check of conftest.py finds what outlives a test, and nothing else."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = """
import subprocess, threading, time

def test_that_leaks(no_leaks):
    globals().update(kept=open(__file__), child=subprocess.Popen(["sleep", "60"]))
    threading.Thread(target=time.sleep, args=(60,), daemon=True, name="dreamer").start()

def test_that_gives_all_back(no_leaks):
    open(__file__).close()
    subprocess.run(["true"])
    thread = threading.Thread(target=time.sleep, args=(0.01,))
    thread.start()
    thread.join()

def test_that_was_not_asked():
    globals().update(also_kept=open(__file__))

def teardown_module():
    child.kill()
    child.wait()
"""


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("leaks")
    shutil.copy(Path(__file__).with_name("conftest.py"), folder)
    (folder / "test_leaks.py").write_text(TESTS, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-c", "/dev/null"]
    alone = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # plug-ins take seconds to import
    done = subprocess.run(
        [*command, f"--rootdir={folder}"], cwd=folder, env=alone, capture_output=True, text=True
    )
    return done.stdout


def test_a_thread_a_file_and_a_process_left_behind_are_named(report):
    (failure,) = [line for line in report.splitlines() if line.startswith("E ")]
    for left in ("thread dreamer", "test_leaks.py", "process "):
        assert left in failure


def test_only_the_test_that_leaked_and_was_asked_fails(report):
    assert "3 passed, 1 error" in report
    assert "ERROR at teardown of test_that_leaks" in report
