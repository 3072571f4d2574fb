"""Memory that can be had is what the machine has, or what is left of the container's limit."""

import os
from pathlib import Path

import pytest

from flnb.tensors.memory import available_bytes

MACHINE = "MemTotal: 9000 kB\nMemAvailable: 8000 kB\nHugePages_Total: 0\n"


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """The root of a machine with 8000 kB left."""
    written(tmp_path / "proc/meminfo", MACHINE)
    return tmp_path


def written(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_memory_that_can_be_had_is_said_by_the_kernel() -> None:
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert 0 < available_bytes() < pages


@pytest.mark.parametrize("text", [None, "MemTotal: 9000 kB\n"])
def test_where_nobody_says_how_much_there_is_there_is_none(
    tmp_path: Path, text: str | None
) -> None:
    if text is not None:
        written(tmp_path / "proc/meminfo", text)
    assert available_bytes(tmp_path) == 0


def test_a_machine_without_limits_has_what_it_says(machine: Path) -> None:
    assert available_bytes(machine) == 8_192_000
    written(machine / "proc/self/cgroup", "0::/user.slice\n")
    written(machine / "sys/fs/cgroup/user.slice/memory.max", "max\n")
    written(machine / "sys/fs/cgroup/user.slice/memory.current", "5000\n")
    assert available_bytes(machine) == 8_192_000


def test_a_group_above_binds_and_pages_that_can_be_dropped_count_as_free(machine: Path) -> None:
    written(machine / "proc/self/cgroup", "1:name=systemd:/\n0::/pod/lab\n")
    for group, limit, used in (("pod", "5000000", "4000000"), ("pod/lab", "4000000", "1000000")):
        folder = machine / "sys/fs/cgroup" / group
        written(folder / "memory.max", limit)
        written(folder / "memory.current", used)
        written(folder / "memory.stat", "anon 7\ninactive_file 500000\n")
    assert available_bytes(machine) == 1_500_000
    written(machine / "sys/fs/cgroup/pod/memory.current", "9000000")
    assert available_bytes(machine) == 0


def test_a_group_of_before_binds_also_where_its_path_is_the_hosts(machine: Path) -> None:
    written(machine / "proc/self/cgroup", "5:cpu:/\n4:memory,x:/docker/32ef\n0::/\n")
    folder = machine / "sys/fs/cgroup/memory"
    written(folder / "memory.limit_in_bytes", "3000000\n")
    written(folder / "memory.usage_in_bytes", "2000000\n")
    written(folder / "memory.stat", "total_inactive_file 250000\n")
    assert available_bytes(machine) == 1_250_000
