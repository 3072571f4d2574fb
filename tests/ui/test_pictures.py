"""Every page beside the picture of it that was kept: what vanishes, moves or changes its colour is seen.

Pictures are kept small: other fonts, and times that another run took, make little of a difference in them.
After a change that is meant: `FLNB_PICTURES=keep make test-ui UI=tests/ui/test_pictures.py`, and look at them.
"""

import io
import os
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.ui.test_looks import DARK, PAGES

pytestmark = [pytest.mark.ui, pytest.mark.timeout(300)]

KEPT = Path(__file__).parent / "pictures"
SMALL = (144, 90)
"""A point is a square of ten pixels."""
STEP, SHARE = 16, 0.01
"""So large a part of the points may differ by more than so much of 255."""


def small(page):
    """A page that does not change any more."""
    before, shown = b"", page.screenshot(animations="disabled")
    while shown != before:
        page.wait_for_timeout(500)
        before, shown = shown, page.screenshot(animations="disabled")
    whole = Image.open(io.BytesIO(shown)).convert("RGB")
    return whole.resize(SMALL, Image.Resampling.BOX)


@pytest.mark.parametrize("path", PAGES)
def test_a_page_looks_as_it_did(visit, past, path):
    page = visit(past, path)
    page.wait_for_timeout(1500)
    name = re.sub(r"\W+", "-", path.partition("%")[0].partition("&")[0]) or "overview"
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.wait_for_function(DARK if scheme == "dark" else f"!({DARK})")
        page.wait_for_timeout(500)  # colours of charts follow from Python
        now, file = small(page), KEPT / f"{name}-{scheme}.png"
        if os.environ.get("FLNB_PICTURES") == "keep":
            now.save(file, optimize=True)
        kept = np.asarray(Image.open(file).convert("RGB"), np.int16)
        apart = np.abs(np.asarray(now, np.int16) - kept).max(axis=2) > STEP
        print(f"{file.stem}: {apart.mean():.2%} apart")
        assert apart.mean() <= SHARE, file.stem
