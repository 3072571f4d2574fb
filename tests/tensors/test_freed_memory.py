"""Memory of blocks that glibc uses again, as those of messages."""

import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource
from flnb.tensors import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(50):
        messages = [b"x" * 2**20 for _ in range(4)]
        del messages
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

before = faults()
keep_freed_memory(4 * 2**20)
print(before, faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="is about glibc")
def test_messages_are_not_written_to_fresh_memory_each_time():
    told = subprocess.run(
        [sys.executable, "-c", FAULTS], capture_output=True, text=True, check=True
    ).stdout
    before, after = map(int, told.split())
    assert after < 5_000 < before, "four messages have 1024 pages"
