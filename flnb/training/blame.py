"""What a person needs to see of an error in their own task."""

from __future__ import annotations

import traceback
from pathlib import Path

_LIBRARIES = (str(Path(__file__).parent.parent), "/site-packages/", "/dist-packages/", "<frozen ")
_FEW = 3


def user_traceback(error: BaseException) -> str:
    """Write an error down with the frames of the user's own code.

    Frames of flnb and of installed packages are left out, for nobody can change them; if no
    others are left, the last three stay.
    """
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not any(part in frame.filename for part in _LIBRARIES)]
    lines = traceback.format_list(own or frames[-_FEW:])
    return "".join([*lines, *traceback.format_exception_only(error)]).rstrip()
