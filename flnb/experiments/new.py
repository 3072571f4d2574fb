"""A small lab to begin with: a notebook, a plan, a study and a test, all of which run."""

from __future__ import annotations

from pathlib import Path

from flnb.core.errors import NameTakenError, StoreError

TEMPLATE = Path(__file__).parent / "lab_template"
_SUFFIX = ".template"
"""Of files that would mean something where they are kept: a test would be run, an ignore file obeyed."""
_HIDDEN = {"gitignore"}


def make(folder: Path) -> list[Path]:
    """Copy the template into a folder, which is made.

    Args:
        folder: New, or empty.

    Returns:
        What was written, by name.

    Raises:
        NameTakenError: Something is in it already, or it is a file.
        StoreError: It cannot be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise NameTakenError(f"{folder} is there already, and not empty", hint="name a new folder")
    written = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for source in sorted(TEMPLATE.iterdir()):
            if source.is_file():
                name = source.name.removesuffix(_SUFFIX)
                target = folder / (f".{name}" if name in _HIDDEN else name)
                target.write_bytes(source.read_bytes())
                written.append(target)
    except OSError as error:
        raise StoreError(f"{folder} cannot be written: {error.strerror}") from error
    return sorted(written)
