"""Forked kernels: each is a process like one that starts an interpreter, and much sooner there."""

import contextlib
import os
import signal
import time
from pathlib import Path

import psutil
import pytest
from jupyter_client.manager import KernelManager

from flnb.experiments import kernels
from flnb.experiments.kernels import Forge

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def forge():
    with contextlib.closing(Forge()) as forge:
        forge.prepare("python3")
        yield forge


@pytest.fixture
def kernel(forge):
    """Start a kernel; gives its manager, and what evaluates an expression in it."""
    managers = []

    def kernel(**given):
        manager = KernelManager(kernel_name="python3")
        manager.provisioner = forge.provisioner(manager)
        manager.start_kernel(**given)
        client = manager.blocking_client()
        managers.append((manager, client))
        client.start_channels()
        client.wait_for_ready(timeout=60)

        def value(expression):
            reply = client.execute("", user_expressions={"it": expression}, reply=True, timeout=60)
            answer = reply["content"]["user_expressions"]["it"]
            return answer["data"]["text/plain"] if answer["status"] == "ok" else answer["evalue"]

        return manager, value

    yield kernel
    for manager, client in managers:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def ended(process):
    """The exit code of a process that is about to end."""
    ends_s = time.monotonic() + 30
    while (code := process.poll()) is None:
        assert time.monotonic() < ends_s
        time.sleep(0.01)
    return code


def test_a_kernel_is_there_with_everything_imported_in_a_process_of_its_own(kernel):
    (one, value), (other, another) = kernel(), kernel()
    assert value("'torch' in __import__('sys').modules") == "True"
    assert value("__import__('os').getpid()") == str(one.provisioner.pid)
    draws = [tell("__import__('numpy').random.random()") for tell in (value, another)]
    assert draws[0] != draws[1]
    assert os.getpgid(one.provisioner.pid) == one.provisioner.pid != other.provisioner.pid
    cpu = psutil.Process(one.provisioner.pid).cpu_times()
    assert cpu.user + cpu.system < 1.5  # an interpreter that imports the same: 2.3 s


def test_it_has_the_environment_and_the_folder_that_it_was_given(kernel, tmp_path):
    environment = {"PATH": os.environ["PATH"], "WORD": "otter", "OMP_NUM_THREADS": "2"}
    given = {name: text for name, text in os.environ.items() if name.startswith("PYTHON")}
    _, value = kernel(env=environment | given, cwd=str(tmp_path))
    assert value("__import__('os').environ['WORD']") == "'otter'"
    assert value("'HOME' in __import__('os').environ") == "False"
    assert value("__import__('os').getcwd()") == repr(str(tmp_path))
    assert value("__import__('torch').get_num_threads()") == "2"
    assert value("__import__('sys').path[0]") != repr(str(Path.cwd()))


def test_interpreters_that_are_told_something_else_are_started(kernel, tmp_path):
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.told = 'else'\n")
    _, value = kernel(env={**os.environ, "PYTHONPATH": str(tmp_path)})
    assert value("__import__('sys').told") == "'else'"


def test_workers_of_a_kernel_have_what_its_cells_have_set(kernel, tmp_path):
    (tmp_path / "told.py").write_text(
        "import os\ndef tell(channel, fds): channel.send([os.environ.get(one) for one in ('EARLY', 'LATE')])"
    )
    _, value = kernel(env={**os.environ, "EARLY": "bird"})
    fork = "__import__('flnb.processes').processes.ForkServer.shared().fork('told:tell')"
    value(f"__import__('sys').path.append({str(tmp_path)!r})")
    value("__import__('os').environ.update(LATE='owl')")
    value("__import__('os').environ.pop('EARLY')")
    assert value(f"[worker := {fork}, worker.channel.recv(30)][1]") == "[None, 'owl']"


def test_its_end_is_seen_however_it_comes(kernel):
    manager, _ = kernel()
    os.kill(manager.provisioner.pid, signal.SIGKILL)
    assert ended(manager.provisioner.process) == -signal.SIGKILL


def test_it_ends_as_an_interpreter_does_with_what_was_to_be_done_at_its_exit(kernel, tmp_path):
    manager, value = kernel()
    process, mark = manager.provisioner.process, tmp_path / "mark"
    value(f"__import__('atexit').register(__import__('pathlib').Path({str(mark)!r}).touch)")
    manager.shutdown_kernel()
    assert (ended(process), mark.exists()) == (0, True)


def test_an_interrupt_stops_what_it_does_and_not_the_kernel(kernel):
    manager, value = kernel()
    manager.provisioner.process.send_signal(signal.SIGINT)
    assert value("1 + 1") == "2"


def test_no_kernel_outlives_the_process_that_it_is_forked_from():
    forge = Forge()
    forge.prepare("python3")
    worker = forge.fork(["--IPKernelApp.connection_file=none.json"], os.environ, str(Path.cwd()))
    forge.close()
    assert worker.join(10)
    worker.close()
    assert forge.fork([], os.environ, "") is None


def test_nothing_is_started_for_kernels_that_cannot_be_forked():
    forge = Forge()
    forge.prepare("not-installed")
    assert forge.fork([], os.environ, "") is None
    forge.close()


def test_what_goes_wrong_where_kernels_are_forked_from_is_written_down(tmp_path, monkeypatch):
    monkeypatch.setattr(kernels, "_PRELOAD", ("duckdb", "no_such_module"))
    forge = Forge(tmp_path / "workers.log")
    forge.prepare("python3")
    forge.close()
    told = (tmp_path / "workers.log").read_text()
    assert told.splitlines()[-1] == "ModuleNotFoundError: No module named 'no_such_module'"


def test_other_kernels_are_started_as_usual(forge):
    manager = KernelManager(kernel_name="python3")
    manager.kernel_spec.argv[0] = "/usr/bin/other"
    assert forge.provisioner(manager) is None
