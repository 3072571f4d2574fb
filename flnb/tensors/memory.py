"""How much memory can be had: of the machine, and of the container that this process is in.

A container has a limit of its own, and the kernel kills who goes over it, however much the machine has. It
is written in files of control groups (Linux, `Documentation/admin-guide/cgroup-v2.rst`, and
`cgroup-v1/memory.rst` of before): every group on the way up to the root bounds those below it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

_V2 = ("sys/fs/cgroup", "memory.max", "memory.current", "inactive_file")
_V1 = (
    "sys/fs/cgroup/memory",
    "memory.limit_in_bytes",
    "memory.usage_in_bytes",
    "total_inactive_file",
)
"""Where groups lie, their limit and what they use, and what of that are pages that can be dropped."""


def available_bytes(root: Path = Path("/")) -> int:
    """Memory that can be had without taking any from others; 0 where nobody says so.

    Args:
        root: Where `proc` and `sys` lie.
    """
    available = 1024 * _numbers(root / "proc/meminfo").get("MemAvailable:", 0)
    return max(0, min([available, *_left_in_groups(root)]))


def _left_in_groups(root: Path) -> Iterator[int]:
    """What is left of each limit that binds this process."""
    for line in _text(root / "proc/self/cgroup").splitlines():
        number, controllers, group = line.split(":", 2)
        if number == "0":
            place, limit, used, droppable = _V2
        elif "memory" in controllers.split(","):
            place, limit, used, droppable = _V1
        else:
            continue
        # In a container the path may be that of the host: those of it that are not there bind nobody.
        below = PurePosixPath(group.lstrip("/"))
        for one in (below, *below.parents):
            folder = root / place / one
            bound, taken = _text(folder / limit).strip(), _text(folder / used).strip()
            if bound.isdigit() and taken.isdigit():  # without a limit it says `max`
                yield int(bound) - int(taken) + _numbers(folder / "memory.stat").get(droppable, 0)


def _numbers(path: Path) -> dict[str, int]:
    """The first number of each line, by the word before it."""
    lines = [line.split() for line in _text(path).splitlines()]
    return {words[0]: int(words[1]) for words in lines if len(words) > 1 and words[1].isdigit()}


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
