"""A recipe as a job of jupyter-scheduler: a real server, its REST API, and what is then in the lab."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

import flnb

pytest.importorskip("jupyter_scheduler", reason="jupyter-scheduler is not here: flnb[scheduler]")
pytestmark = pytest.mark.timeout(180)
RECIPE = Path(__file__).parents[2] / "experiments" / "fedavg.ipynb"
ELSEWHERE = dict.fromkeys(("jupyterlab", "jupyter_lsp", "panel.io.jupyter_server_extension"), False)
"""Extensions that take seconds to load, and that no job asks for."""


@pytest.fixture
def jupyter(tmp_path):
    """A client of a server whose root holds a recipe, with jobs and kernels of its own."""
    (tmp_path / "data").mkdir()  # without it the extension is not loaded; JupyterLab would make it
    root = tmp_path / "root"
    root.mkdir()
    shutil.copy(RECIPE, root)
    kept = {f"JUPYTER_{name.upper()}_DIR": str(tmp_path / name) for name in ("data", "runtime")}
    environment = {**os.environ, **kept, "JUPYTER_CONFIG_DIR": str(tmp_path / "config")}
    asked = ["--no-browser", "--allow-root", "--ServerApp.ip=127.0.0.1", "--ServerApp.port=0"]
    asked += [f"--ServerApp.root_dir={root}", f"--ServerApp.jpserver_extensions={ELSEWHERE}"]
    with (
        (tmp_path / "server.log").open("w") as log,
        subprocess.Popen(
            [sys.executable, "-m", "jupyter_server", *asked],
            cwd=root,  # what comes out is copied relative to it
            env={**environment, "FLNB_SMOKE": "1"},
            stderr=log,
        ) as server,
    ):
        try:
            known = awaited(lambda: told_in(tmp_path / "runtime"))
            signed = {"Authorization": f"token {known['token']}"}
            with httpx.Client(base_url=known["url"], headers=signed, timeout=60) as client:
                yield client
        finally:
            server.terminate()


def told_in(folder):
    """What a server says of itself, once all of it is written."""
    texts = [one.read_text() for one in folder.glob("jpserver-*.json")]
    whole = [text for text in texts if text.rstrip().endswith("}")]
    return json.loads(whole[0]) if whole else None


def awaited(ask, seconds=120):
    """The first answer that is one."""
    end = time.monotonic() + seconds
    while not (answer := ask()):
        assert time.monotonic() < end
        time.sleep(0.2)
    return answer


def over(jupyter, job):
    """What became of a job; it is called STOPPED before it begins."""
    found = jupyter.get(f"scheduler/jobs/{job}").json()
    return found if found["status"] in {"COMPLETED", "FAILED"} else None


def test_a_job_of_jupyter_scheduler_executes_a_recipe_with_its_parameters(jupyter, tmp_path):
    place = tmp_path / "its lab"
    given = {"alpha": "1", "strategy": '"fedadam"', "lr": "0.05", "lab": json.dumps(str(place))}
    (environment,) = jupyter.get("scheduler/runtime_environments").json()
    asked = {"name": "nightly", "input_uri": RECIPE.name, "output_formats": ["ipynb"]}
    asked |= {"runtime_environment_name": environment["name"], "parameters": given}
    job = jupyter.post("scheduler/jobs", json=asked).raise_for_status().json()["job_id"]
    found = awaited(lambda: over(jupyter, job))
    assert (found["status"], found["status_message"]) == ("COMPLETED", None)
    lab = flnb.open(place)
    (run,) = lab.runs()
    lab.store.close()
    trained = run.plan.strategy
    assert (str(run.status), run.view.round, trained.kind) == ("finished", 2, "fedadam")
    assert trained.local.lr == 0.05
    jupyter.get(f"scheduler/jobs/{job}/download_files").raise_for_status()
    told = "alpha=1.0, strategy='fedadam'"
    awaited(lambda: any(told in one.read_text() for one in outputs(tmp_path / "root", job)))


def outputs(root, job):
    return (root / "jobs" / f"fedavg-{job}").glob("fedavg-*.ipynb")
