"""Where data files lie, and reading them whole or with a clear error.

`FLNB_DATA_DIR` names a folder with one sub-folder for each data set. Nothing is ever downloaded;
`data/README.md` of the project says how to get the files.
"""

from __future__ import annotations

import gzip
import os
import zlib
from pathlib import Path

from flnb.core.errors import DataError

VARIABLE = "FLNB_DATA_DIR"


def data_dir() -> Path:
    """Folder of the data sets, from the environment variable `FLNB_DATA_DIR`.

    Raises:
        DataError: The variable is not set, or names no folder.
    """
    name = os.environ.get(VARIABLE, "")
    if not name:
        raise DataError(
            f"{VARIABLE} is not set, so there is no folder to find data in",
            hint=f"set {VARIABLE} to the folder of your data sets (data/README.md says what lies "
            "where), or use the digits, which need no files",
        )
    if not (folder := Path(name)).is_dir():
        raise DataError(f"{VARIABLE} is {name!r}, which is not a folder")
    return folder


def data_folder(directory: str | Path | None, name: str) -> Path:
    """Folder of one data set: as given, or the sub-folder `name` of `data_dir()`.

    Raises:
        DataError: No folder is given and `FLNB_DATA_DIR` is not set.
    """
    return Path(directory) if directory is not None else data_dir() / name


def read_data_file(folder: Path, name: str, *, source: str) -> bytes:
    """Read a file, or its `.gz` beside it, unpacked.

    Args:
        folder: Where to look.
        name: File name without `.gz`.
        source: Where a person can get the file.

    Raises:
        DataError: Neither is there, or the gzip file is torn.
    """
    plain, packed = folder / name, folder / f"{name}.gz"
    if plain.is_file():
        return plain.read_bytes()
    if not packed.is_file():
        raise DataError(f"{folder} has no {name} or {name}.gz", hint=f"get it from {source}")
    try:
        return gzip.decompress(packed.read_bytes())
    except (EOFError, OSError, zlib.error) as error:
        raise DataError(
            f"{packed} is torn or not gzip: {error}", hint=f"get it again from {source}"
        ) from error
