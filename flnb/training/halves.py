"""Client halves by name: a strategy names what its clients run, and never ships it as code."""

from __future__ import annotations

import pkgutil
from typing import cast

from flnb.core import ClientHalf
from flnb.core.errors import TaskError
from flnb.training.local import LocalTraining


def find_training(half: ClientHalf) -> LocalTraining:
    """Look up what a client does, by name.

    Raises:
        TaskError: No module of that name, or nothing in it that can be called.
    """
    try:
        found = pkgutil.resolve_name(half.entry)
    except (ImportError, AttributeError, ValueError) as error:
        raise TaskError(
            f"there is no local training {half.entry!r}: {error}",
            hint="an entry reads 'package.module:function' and can be imported in every process",
        ) from error
    if not callable(found):
        raise TaskError(f"{half.entry!r} is {type(found).__name__}, expected a function")
    return cast(LocalTraining, found)
