"""The key of a cell: its identity for ever, by which what is finished is found again."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import flnb
from flnb.core.errors import DataError
from flnb.experiments.recipe import Recipe

SMOKE = "FLNB_SMOKE"
"""`1` lets recipes do as little as shows that they work."""
_DIGITS = 16
_BLOCK = 1 << 20


def key_of(
    recipe: Recipe, values: Mapping[str, Any], seed: int | None, data: Mapping[str, str]
) -> str:
    """Hash what a cell's result depends on, as far as a study knows.

    Args:
        recipe: All its code cells count.
        values: Every parameter, checked.
        seed: Of the cell, if its study has seeds.
        data: Fingerprints of the data that the recipe names.

    Returns:
        Sixteen hexadecimal digits.
    """
    facts: dict[str, Any] = {
        "code": list(recipe.digests),
        "parameters": dict(values),
        "seed": seed,
        "flnb": flnb.__version__,
        "data": dict(data),
    }
    if is_smoke():
        facts["smoke"] = True  # two rounds are no result that a study may find again
    text = json.dumps(facts, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]


def is_smoke() -> bool:
    """Whether recipes are to do as little as shows that they work."""
    return os.environ.get(SMOKE, "") == "1"


class DataFingerprints:
    """Fingerprints of files and folders, each read once; about 2 GB a second.

    Args:
        beside: Where names of files are relative to: the folder of the recipe.
    """

    def __init__(self, beside: Path) -> None:
        self._beside = beside
        self._known: dict[Path, str] = {}

    def of(self, recipe: Recipe, values: Mapping[str, Any]) -> dict[str, str]:
        """Fingerprint every file and folder that the values of a cell name.

        Args:
            recipe: Says which parameters are of type `Path`.
            values: Checked.

        Raises:
            DataError: One is not there.
        """
        names = (name for name in recipe.parameters.files if values[name] is not None)
        return {name: self._of(name, self._beside / values[name]) for name in names}

    def _of(self, name: str, path: Path) -> str:
        if path not in self._known:
            if not path.exists():
                raise DataError(
                    f"parameter {name!r} names {path}, which is not there",
                    hint="names are relative to the folder of the recipe",
                )
            self._known[path] = fingerprint(path)
        return self._known[path]


def fingerprint(path: Path) -> str:
    """Hash a file, or a folder by the names and contents of all files in it."""
    hasher = hashlib.sha256()
    files = sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else [path]
    for file in files:
        name = file.relative_to(path).as_posix() if path.is_dir() else ""
        hasher.update(f"{name}\0{file.stat().st_size}\0".encode())
        with file.open("rb") as content:
            while block := content.read(_BLOCK):
                hasher.update(block)
    return hasher.hexdigest()[:_DIGITS]
