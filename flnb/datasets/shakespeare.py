"""Shakespeare by speaking role: predict the next character of what one role says.

McMahan, Moore, Ramage, Hampson, Agüera y Arcas. "Communication-Efficient Learning of Deep
Networks from Decentralized Data", AISTATS 2017, §3 (one client a role, 80 % of each role's text to
train). https://arxiv.org/abs/1602.05629. Windows of 80 characters as in LEAF (Caldas et al. 2018,
https://arxiv.org/abs/1812.01097).
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from jaxtyping import Int64, Integer

from flnb.core.errors import DataError
from flnb.datasets.arrays import Arrays, FederatedData
from flnb.datasets.files import data_folder, read_data_file
from flnb.datasets.split import Split

_SOURCE = "any public-domain edition of the plays, put together as data/README.md says"


def shakespeare(
    directory: str | Path | None = None,
    *,
    window: int = 80,
    stride: int = 10,
    test_fraction: float = 0.2,
) -> FederatedData:
    """Read the plays: windows of character codes, and the code of the character that follows.

    `labels` of the result is the vocabulary: every character of the file, ascending, so that a
    code is a position in it. `x` is int8 (int16 above 128 characters), shape (windows, window).
    The last part of each role's text is its test part; no window reaches over the cut. A role
    whose training text is too short for one window is no client.

    Args:
        directory: Folder of `roles.json` or `roles.json.gz`, a mapping from role to text; by
            default `shakespeare` in `FLNB_DATA_DIR`.
        window: Characters that a model sees.
        stride: Characters from the start of one window to the next: 1 is all windows, as in LEAF
            (335 MB for the whole of Shakespeare), `window` is none overlapping.
        test_fraction: Part of each role's text, at its end, that is held out.

    Raises:
        DataError: The file is missing, torn or not such a mapping, a setting is out of range, or
            no role is long enough.
    """
    if window < 1 or stride < 1 or not 0 <= test_fraction < 1:
        raise DataError(
            f"window={window} and stride={stride} must be 1 or more, "
            f"test_fraction={test_fraction} in [0, 1)"
        )
    folder = data_folder(directory, "shakespeare")
    roles = _read_roles(folder)
    vocabulary, codes = _encode("".join(roles.values()))
    lengths = np.array([len(text) for text in roles.values()], dtype=np.int64)
    ends = np.cumsum(lengths)
    cuts = ends - np.rint(lengths * test_fraction).astype(np.int64)
    train, owner = _windows(codes, ends - lengths, cuts, window=window, stride=stride)
    test, _ = _windows(codes, cuts, ends, window=window, stride=stride)
    speaking, client = np.unique(owner, return_inverse=True)
    if not len(speaking):
        raise DataError(f"{folder}: no role has more than {window} characters to train on")
    names = list(roles)
    split = Split.from_owners(client, [names[role] for role in speaking], train.y)
    split = split.counted(train.y, vocabulary)
    held_out = test if len(test) else None
    return FederatedData(train, held_out, split, len(vocabulary), "shakespeare", tuple(vocabulary))


def _read_roles(folder: Path) -> dict[str, str]:
    content = read_data_file(folder, "roles.json", source=_SOURCE)
    try:
        roles = json.loads(content)
    except ValueError as error:
        raise DataError(f"{folder}: roles.json is not JSON: {error}") from error
    if not isinstance(roles, dict) or not all(isinstance(text, str) for text in roles.values()):
        raise DataError(f"{folder}: roles.json is not a mapping from role to text")
    return roles


def _encode(text: str) -> tuple[str, Integer[np.ndarray, " characters"]]:
    vocabulary = "".join(sorted(set(text)))
    # A table from code point to position: sorting four million characters would take a second.
    table = np.zeros(max(map(ord, vocabulary), default=0) + 1, dtype=np.int16)
    table[[ord(character) for character in vocabulary]] = np.arange(len(vocabulary))
    codes = table[np.frombuffer(text.encode("utf-32-le"), dtype="<u4")]
    return vocabulary, codes.astype(np.int8) if len(vocabulary) <= 128 else codes


def _windows(
    codes: Integer[np.ndarray, " characters"],
    begins: Int64[np.ndarray, " roles"],
    ends: Int64[np.ndarray, " roles"],
    *,
    window: int,
    stride: int,
) -> tuple[Arrays, Int64[np.ndarray, " windows"]]:
    """Cut every role's stretch into windows; also say which role each window is from."""
    counts = np.maximum(0, -(-(ends - begins - window) // stride))
    owner = np.repeat(np.arange(len(begins)), counts)
    first = np.cumsum(counts) - counts
    starts = begins[owner] + (np.arange(len(owner)) - first[owner]) * stride
    x = codes[starts[:, None] + np.arange(window)]
    return Arrays(x, codes[starts + window].astype(np.int64)), owner
