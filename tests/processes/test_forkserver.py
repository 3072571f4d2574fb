"""The fork server and its workers: what they inherit, how they end, what is left behind."""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from flnb.core.errors import WorkerDiedError
from flnb.processes import ForkServer, Worker

ENTRIES = """
import os, sys, threading, time

def echo(channel, fds):
    while True:
        channel.send(channel.recv())

def spin(channel, fds):
    while True:
        pass

def look(channel, fds):
    print("seen by nobody")
    os.write(1, b"not even like this")
    channel.send({"threads": threading.active_count(), "directory": os.getcwd(),
                  "group": os.getpgrp(), "nice": os.nice(0), "modules": set(sys.modules),
                  "argv0": sys.argv[0], "file": os.read(fds[0], 9) if fds else b"",
                  "environment": dict(os.environ)})

def fail(channel, fds):
    raise RuntimeError("the words of the failure")
"""


@pytest.fixture(scope="module")
def entries(tmp_path_factory):
    folder = tmp_path_factory.mktemp("entries")
    (folder / "entries_for_workers.py").write_text(ENTRIES)
    sys.path.insert(0, str(folder))
    yield folder
    sys.path.remove(str(folder))


@pytest.fixture
def server(entries):
    server = ForkServer.start(preload=())
    yield server
    server.close()


@pytest.fixture
def _shared_starts_bare(monkeypatch):
    """The server that is shared imports nothing: torch takes it seconds each time it is started."""
    monkeypatch.setattr(ForkServer, "_shared", None)
    monkeypatch.setattr(ForkServer, "start", functools.partial(ForkServer.start, preload=()))
    yield
    if ForkServer._shared is not None:
        ForkServer._shared.close()


def _gone(pid: int) -> bool:
    with_zombies = psutil.pid_exists(pid)
    return not with_zombies or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def _wait_for(condition, seconds: float = 8.0) -> bool:
    end = time.monotonic() + seconds
    while not (met := condition()) and time.monotonic() < end:
        time.sleep(0.02)
    return met


def test_a_worker_answers_and_ends_when_its_channel_is_closed(server, no_leaks):
    worker = server.fork("entries_for_workers:echo")
    worker.channel.send([1, 2])
    assert worker.channel.recv(5.0) == [1, 2]
    assert worker.alive
    worker.channel.close()
    assert worker.join(5.0)
    assert worker.exit_code == 0
    worker.close()


def test_starting_does_not_wait_for_the_imports(no_leaks):
    began = time.perf_counter()
    server = ForkServer.start(preload=("torch",))
    assert time.perf_counter() - began < 0.3
    server.close()


def test_a_worker_has_one_thread_the_preloaded_modules_and_our_place(
    entries, tmp_path, monkeypatch
):
    server = ForkServer.start(preload=("torch", "no.such.module"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_bytes(b"handed on")
    with (tmp_path / "file").open("rb") as file:
        worker = server.fork("entries_for_workers:look", fds=[file.fileno()], nice=5)
    seen = worker.channel.recv(60.0)
    assert seen["threads"] == 1
    assert psutil.Process(server.pid).num_threads() == 1
    assert seen["directory"] == str(tmp_path)
    assert seen["file"] == b"handed on"
    assert seen["nice"] == os.nice(0) + 5
    assert "torch" in seen["modules"]
    assert seen["group"] == server.pid != os.getpgrp()
    worker.close()
    server.close()


def test_a_worker_has_the_environment_as_it_is_when_it_is_forked(entries, monkeypatch):
    monkeypatch.setenv("FLNB_TEST_EARLY", "1")
    server = ForkServer.start(preload=())
    monkeypatch.delenv("FLNB_TEST_EARLY")
    monkeypatch.setenv("FLNB_TEST_LATE", "ein Fährmann")
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    worker = server.fork("entries_for_workers:look")
    seen = worker.channel.recv(timeout_s=30)["environment"]
    assert (seen["FLNB_TEST_LATE"], seen["OMP_NUM_THREADS"]) == ("ein Fährmann", "1")
    assert "FLNB_TEST_EARLY" not in seen
    monkeypatch.setenv("FLNB_TEST_LATE", "x" * (1 << 17))
    with pytest.raises(WorkerDiedError, match="too long for the fork server"):
        server.fork("entries_for_workers:look")
    monkeypatch.delenv("FLNB_TEST_LATE")
    server.fork("entries_for_workers:look").close()
    worker.close()
    server.close()


def test_a_variable_that_is_set_while_the_server_starts_reaches_its_workers(entries, monkeypatch):
    start = subprocess.Popen

    def set_meanwhile(*arguments, **options):
        process = start(*arguments, **options)
        monkeypatch.setenv("FLNB_TEST_LATE", "set by another thread")
        return process

    monkeypatch.setattr(subprocess, "Popen", set_meanwhile)
    server = ForkServer.start(preload=())
    worker = server.fork("entries_for_workers:look")
    seen = worker.channel.recv(timeout_s=30)["environment"]
    assert seen["FLNB_TEST_LATE"] == "set by another thread"
    worker.close()
    server.close()


def test_a_variable_that_is_removed_while_a_worker_is_forked_is_left_out(server, monkeypatch):
    names = type(os.environ).__iter__
    removed = "FLNB_TEST_REMOVED"
    monkeypatch.setattr(type(os.environ), "__iter__", lambda env: iter([removed, *names(env)]))
    worker = server.fork("entries_for_workers:look")
    monkeypatch.undo()
    assert removed not in worker.channel.recv(timeout_s=30)["environment"]
    worker.close()


def test_a_fork_from_a_folder_that_is_gone_leaves_nothing_open(server, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tmp_path.rmdir()
    before = os.listdir("/proc/self/fd")
    with pytest.raises(FileNotFoundError) as refused:
        server.fork("entries_for_workers:echo")
    assert refused.tb  # which would hold what is open
    assert os.listdir("/proc/self/fd") == before


def test_what_workers_print_goes_to_the_log_and_nowhere_else(entries, tmp_path, capfd):
    log = tmp_path / "workers.log"
    server = ForkServer.start(preload=(), log=log)
    for entry in ("look", "fail"):
        worker = server.fork(f"entries_for_workers:{entry}")
        assert worker.join(5.0)
        worker.close()
    server.close()
    assert capfd.readouterr() == ("", "")
    for words in ("seen by nobody", "not even like this", "the words of the failure"):
        assert words in log.read_text()


def test_how_a_worker_ended_is_known(server):
    failed, killed = (server.fork(f"entries_for_workers:{name}") for name in ("fail", "spin"))
    assert killed.exit_code is None
    killed.kill(signal.SIGINT)  # a ^C in the terminal is the coordinator's business
    assert not killed.join(0.2)
    killed.kill()
    assert killed.join(5.0)
    assert failed.join(5.0)
    assert (failed.exit_code, killed.exit_code) == (1, -signal.SIGKILL)
    with pytest.raises(EOFError):
        killed.channel.recv(1.0)
    failed.close()
    killed.close()


def test_a_killed_worker_leaves_no_zombie(server):
    worker = server.fork("entries_for_workers:spin")
    worker.kill()
    assert _wait_for(lambda: not psutil.pid_exists(worker.pid))
    worker.close()


def test_closing_the_server_ends_even_workers_that_do_not_listen(entries, no_leaks):
    server = ForkServer.start(preload=())
    workers = [server.fork(f"entries_for_workers:{name}") for name in ("spin", "echo")]
    server.close()
    assert all(worker.join(0.0) for worker in workers)
    assert not server.alive
    with pytest.raises(WorkerDiedError):
        server.fork("entries_for_workers:echo")
    for worker in workers:
        worker.close()


PARENT = """
import os, sys, time
sys.path.insert(0, sys.argv[1])
from flnb.processes import ForkServer
server = ForkServer.start(preload=())
workers = [server.fork(f"entries_for_workers:{name}") for name in ("echo", "spin")]
if sys.argv[2] == "copied" and os.fork() == 0:  # a copy that holds our descriptors open
    os.close(1)
    time.sleep(60)
print(server.pid, *(worker.pid for worker in workers), flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("how", ["alone", "copied"])
def test_nothing_is_left_after_the_parent_was_killed(entries, how):
    command = [sys.executable, "-c", PARENT, str(entries), how]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as parent:
        pids = [int(word) for word in parent.stdout.readline().split()]
        assert len(pids) == 3
        assert not any(map(_gone, pids))
        parent.kill()
        assert _wait_for(lambda: all(map(_gone, pids)))
        os.killpg(parent.pid, signal.SIGKILL)


@pytest.mark.usefixtures("_shared_starts_bare")
def test_the_shared_server_is_one_and_comes_back_when_it_died(entries):
    first = ForkServer.shared()
    assert ForkServer.shared() is first
    os.kill(first.pid, signal.SIGKILL)
    assert _wait_for(lambda: not first.alive)
    second = ForkServer.shared()
    worker = second.fork("entries_for_workers:echo")
    worker.channel.send("hello")
    assert worker.channel.recv(60.0) == "hello"
    worker.close()


@pytest.mark.usefixtures("_shared_starts_bare")
def test_a_shared_server_that_dies_this_moment_is_replaced(entries):
    server = ForkServer.shared()
    server.fork("entries_for_workers:echo").close()
    os.kill(server.pid, signal.SIGKILL)
    worker = server.fork("entries_for_workers:echo")  # nobody has noticed yet
    worker.channel.send("hello")
    assert worker.channel.recv(30) == "hello"
    assert ForkServer.shared() is not server
    worker.close()


@pytest.mark.usefixtures("_shared_starts_bare")
def test_a_forked_copy_of_this_process_leaves_the_shared_server_alone(entries):
    server = ForkServer.shared()
    if (pid := os.fork()) == 0:
        os._exit(0 if ForkServer._shared is None else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert ForkServer.shared() is server
    worker = server.fork("entries_for_workers:echo")
    assert isinstance(worker, Worker)
    worker.close()


def test_the_server_ends_with_a_process_that_ends_normally(tmp_path: Path):
    code = "from flnb.processes import ForkServer; print(ForkServer.shared().pid)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60, check=True)
    assert done.stderr == b""
    assert _gone(int(done.stdout))
