"""Heaps of the C library."""

import platform
import subprocess
import sys

import pytest

HEAPS = """
import ctypes, threading
from flnb.processes import share_heaps

if {shared}:
    share_heaps()
here = threading.Barrier(6)

def use():
    kept = [bytearray(1000) for _ in range(1000)]
    here.wait()  # else one takes the heap of another that has ended

threads = [threading.Thread(target=use) for _ in range(6)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
ctypes.CDLL(None).malloc_stats()
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="is about glibc")
@pytest.mark.parametrize(("shared", "heaps"), [(False, 7), (True, 2)])
def test_threads_share_one_heap_beside_that_of_the_first(shared, heaps):
    script = HEAPS.format(shared=shared)
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stderr.count("\nArena ") + run.stderr.startswith("Arena ") == heaps
