"""Programs that tests fork: that they end is shown and not assumed."""

import os
import signal
import subprocess
import time

import pytest

from tests import interpreters as forked


def test_who_listens_to_a_program_waits_no_longer_than_was_said(interpreters):
    program = "import time; print('begun', flush=True); time.sleep(30)"
    with interpreters.start(program) as process:
        began_s = time.monotonic()
        with pytest.raises(subprocess.TimeoutExpired):
            process.communicate(timeout=0.5)
        assert 0.5 <= time.monotonic() - began_s < 10
        process.kill()
    assert process.returncode == -signal.SIGKILL


def test_all_that_a_program_says_is_heard_whatever_comes_first(interpreters):
    much = 1 << 18  # more than a pipe holds
    program = f"sys.stderr.write('e' * {much}); sys.stdout.write(sys.stdin.read() * {much})"
    done = interpreters.run(program, said="o")
    assert (done.returncode, done.stdout, done.stderr) == (0, "o" * much, "e" * much)


def test_a_program_that_was_had_for_a_while_ends_by_itself(interpreters):
    with interpreters.start("sys.stdin.read(); sys.exit(7)") as process:
        assert process.poll() is None
    assert process.returncode == 7


def test_a_program_is_ended_where_something_failed(interpreters):
    with pytest.raises(ZeroDivisionError), interpreters.start("import time; time.sleep(60)") as one:
        raise ZeroDivisionError
    assert one.poll() == -signal.SIGKILL


def test_nobody_waits_for_how_a_program_ended_that_nobody_knows(tmp_path, monkeypatch):
    monkeypatch.setattr(forked, "PRELOAD", ("tests.interpreters",))
    alone = forked.Interpreters(tmp_path)
    process = alone.start("print('begun', flush=True); sys.stdin.read()")
    assert process.stdout.readline() == "begun\n"
    os.kill(alone.server.pid, signal.SIGKILL)
    process.kill()
    with pytest.raises(AssertionError, match="nobody is left"):
        process.wait()
    process.close()
    alone.close()
