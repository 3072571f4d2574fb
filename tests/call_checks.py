"""Checks the types and shapes of every call inside flnb while the tests run.

`--jaxtyping-packages` in pyproject.toml puts `checked` around each function when it is imported.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TypeVar

from beartype import BeartypeConf, beartype
from beartype._check.code import codemain
from beartype.roar import BeartypeDecorHintException

Function = TypeVar("Function", bound=Callable[..., object])

# Of each list one element is checked, drawn from Python's own generator: a thread that a test has left
# running drew between the draws of those tests that seed it. Nothing public gives beartype another one.
# Only once: the doctests import this file again, and what has been checked has the first one.
if codemain.getrandbits is random.getrandbits:
    codemain.getrandbits = random.Random(0).getrandbits

_beartyped = beartype(conf=BeartypeConf(is_pep484_tower=True))  # an int is a float


def checked(function: Function) -> Function:
    """Check a function's calls, wherever that can be done."""
    try:
        return _beartyped(function)
    except BeartypeDecorHintException:  # `Self` outside a decorated class, or a plain Protocol
        return function
