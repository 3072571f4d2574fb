"""`flnb doctor`: whether this machine has what flnb needs, without loading any of it."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import metadata, util
from pathlib import Path

import typer

from flnb.cli import output
from flnb.cli.output import AsJson, LabPath, NamedLab

LEAST_DISK_BYTES = 1_000_000_000
_PACKAGES = (
    "torch",
    "numpy",
    "duckdb",
    "icechunk",
    "zarr",
    "sqlalchemy",
    "pyarrow",
    "scikit-learn",
)


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    name: str
    ok: bool
    found: str
    hint: str = ""
    needed: bool = True
    """Whether flnb cannot work without it."""


def doctor(
    named: NamedLab = None, lab: LabPath = output.DEFAULT_LAB, as_json: AsJson = False
) -> None:
    """Look at Python, packages, processor, memory, disk and the lab."""
    checks = [check for look in _LOOKS for check in look(named or lab)]
    if as_json:
        output.data([asdict(check) for check in checks])
    else:
        for check in checks:
            sign = "✓" if check.ok else ("✗" if check.needed else "!")
            typer.echo(f"{sign} {check.name:<14} {check.found}")
            if check.hint and not check.ok:
                typer.echo(f"  {'':<14} → {check.hint}")
    if any(check.needed and not check.ok for check in checks):
        raise typer.Exit(output.FAILED)


def _python(_lab: Path) -> list[Check]:
    version = platform.python_version()
    return [
        Check("flnb", True, metadata.version("flnb")),
        Check("python", sys.version_info >= (3, 11), version, "flnb needs Python 3.11 or newer"),
    ]


def _packages(_lab: Path) -> list[Check]:
    checks = []
    for name in _PACKAGES:
        try:
            checks.append(Check(name, True, metadata.version(name)))
        except metadata.PackageNotFoundError:
            checks.append(Check(name, False, "not installed", "pip install flnb"))
    jupyter = util.find_spec("ipykernel") is not None
    found, hint = "installed" if jupyter else "not installed", 'pip install "flnb[notebook]"'
    return [*checks, Check("notebooks", jupyter, found, hint, needed=False)]


def _machine(_lab: Path) -> list[Check]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    memfd = hasattr(os, "memfd_create")
    return [
        Check("cores", True, str(cores)),
        Check("memory", memory > 2e9, f"{memory / 1e9:.1f} GB", "2 GB are the least", needed=False),
        Check("workers", memfd, platform.system(), "worker processes need Linux; workers: 0 works"),
    ]


def _disk(lab: Path) -> list[Check]:
    place = next(folder for folder in (lab.resolve(), *lab.resolve().parents) if folder.exists())
    free = shutil.disk_usage(place).free
    found = f"{free / 1e9:.1f} GB free at {place}"
    checks = [Check("disk", free >= LEAST_DISK_BYTES, found, "free 1 GB", needed=False)]
    try:
        with tempfile.TemporaryFile(dir=place):
            checks.append(Check("writing", True, f"allowed at {place}"))
    except OSError as error:
        checks.append(Check("writing", False, f"{place}: {error.strerror}", "choose another --lab"))
    return checks


def _lab(lab: Path) -> list[Check]:
    from flnb.cli import addresses, labs

    if not addresses.is_shared(lab) and not labs.is_lab(lab):
        return [Check("lab", True, f"none at {lab} yet")]
    try:
        runs = labs.existing(lab).runs()
    except Exception as error:  # whatever is wrong with the lab is the finding
        return [Check("lab", False, str(error).replace("\n", " "), "see flnb --debug runs list")]
    return [Check("lab", True, f"{len(runs)} runs at {addresses.address(lab)}")]


def _data(_lab: Path) -> list[Check]:
    folder = os.environ.get("FLNB_DATA_DIR", "")
    if not folder:
        return [Check("data", True, "digits only; FLNB_DATA_DIR names a folder with more")]
    found = Path(folder).is_dir()
    return [Check("data", found, folder, "FLNB_DATA_DIR names no folder", needed=False)]


_LOOKS: tuple[Callable[[Path], list[Check]], ...] = (
    _python,
    _packages,
    _machine,
    _disk,
    _lab,
    _data,
)
