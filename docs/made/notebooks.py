"""The notebooks, executed from top to bottom, as the site shows them.

In the repository they have no outputs. One that was executed is kept as long as neither it nor flnb
has changed: a build that changes words alone executes nothing.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from docs.made.staging import ROOT

AT_A_TIME = 2
_TIMEOUT_S = 300.0
_PAGE_IN_A_CELL = "docs/figures/page-rounds.png"


def executed(kept: Path) -> Mapping[Path, str]:
    """Execute every notebook that is not kept yet.

    Args:
        kept: Folder with those of earlier builds; what is no longer true is taken away.

    Returns:
        The executed notebooks by their places in the repository.

    Raises:
        ChildProcessError: A cell of one raised; its traceback is told.
    """
    kept.mkdir(parents=True, exist_ok=True)
    paths = sorted((ROOT / "notebooks").glob("*.ipynb"))
    code = _digest(sorted((ROOT / "flnb").rglob("*.py")))
    places = {path: kept / f"{path.stem}-{_digest([path], code)}.ipynb" for path in paths}
    for old in set(kept.glob("*.ipynb")) - set(places.values()):
        old.unlink()
    missing = [(path, place) for path, place in places.items() if not place.exists()]
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        list(pool.map(lambda pair: _execute(*pair), missing))
    return {path.relative_to(ROOT): place.read_text("utf-8") for path, place in places.items()}


def _digest(paths: list[Path], more: str = "") -> str:
    found = hashlib.sha256(more.encode())
    for path in paths:
        found.update(path.read_bytes())
    return found.hexdigest()[:16]


def _execute(path: Path, place: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.ipynb"
        papermill = [sys.executable, "-m", "papermill", "--no-progress-bar", "--cwd", folder]
        done = subprocess.run(
            [*papermill, str(path), str(out)],
            timeout=_TIMEOUT_S,
            capture_output=True,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        )
        if done.returncode:
            raise ChildProcessError(f"{path.name} does not run: {done.stderr}")
        text = out.read_text("utf-8").replace(folder, "notebooks")
    unfinished = place.with_suffix(".part")
    unfinished.write_text(json.dumps(shown(json.loads(text))), "utf-8")
    unfinished.rename(place)


def shown(notebook: Any) -> Any:
    """The notebook as the site shows it: without the servers of its kernel, which have ended.

    Args:
        notebook: As papermill wrote it.

    Returns:
        The same, a picture in the place of each page that was a frame, and nothing of papermill's.
    """
    notebook["metadata"].pop("papermill", None)
    for cell in notebook["cells"]:
        for word in ("papermill", "execution", "tags"):
            cell["metadata"].pop(word, None)
        for output in cell.get("outputs", []):
            if "<iframe" in str(output.get("data", {}).get("text/html", "")):
                picture = base64.b64encode((ROOT / _PAGE_IN_A_CELL).read_bytes()).decode()
                output["data"] = {"image/png": picture, "text/plain": "The page of a run."}
    return notebook
