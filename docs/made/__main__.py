"""`python -m docs.made`: execute the notebooks, write the made pages, let Sphinx make HTML, and look it over."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from sphinx.cmd.build import build_main

from docs.made import notebooks, requests, staging

BUILD = staging.ROOT / "docs" / "_build"
_DOOR = """<!doctype html><meta charset="utf-8"><title>flnb</title>
<meta http-equiv="refresh" content="0; url=docs/index.html"><a href="docs/index.html">flnb</a>
"""


def main() -> int:
    """Build the site into `docs/_build/html`; returns 1 when Sphinx warns or a page asks somebody for something."""
    began_s = time.monotonic()
    staging.stage(BUILD / "source", notebooks.executed(BUILD / "notebooks"))
    if build(BUILD / "source", BUILD / "html"):
        return 1
    asked = list(requests.of_site(BUILD / "html"))
    for path, address in asked:
        print(f"{path}: loads {address}", file=sys.stderr)
    if not asked:
        print(f"{BUILD / 'html' / 'index.html'} after {time.monotonic() - began_s:.0f} s")
    return 1 if asked else 0


def build(source: Path, out: Path) -> int:
    """Let Sphinx make HTML of staged pages; warnings are errors.

    Args:
        source: What `staging.stage` laid out.
        out: Where the pages go.
    """
    config = ["-c", str(staging.ROOT / "docs"), "-d", str(out.parent / "doctrees")]
    status = build_main(["-W", "--keep-going", "-q", *config, str(source), str(out)])
    (out / "index.html").write_text(_DOOR, encoding="utf-8")
    return status


if __name__ == "__main__":
    sys.exit(main())
