"""JupyterLab as `jupyter_config/` sets it up: its kernel knows the magics without being told."""

import json
import os
import subprocess
import sys
from pathlib import Path

CONFIGURED = Path(__file__).parents[2] / "jupyter_config"
_ASK = """
from jupyter_client.manager import start_new_kernel

manager, kernel = start_new_kernel(kernel_name="flnb")
known = kernel.execute_interactive("_ = get_ipython().find_cell_magic('flsql').__name__", timeout=60)
print(known["content"]["status"])
kernel.stop_channels()
manager.shutdown_kernel(now=True)
"""


def test_a_kernel_from_the_launcher_has_loaded_flnb():
    environment = {**os.environ, "JUPYTER_PATH": str(CONFIGURED)}
    said = subprocess.check_output([sys.executable, "-c", _ASK], env=environment, text=True)
    assert said.split() == ["ok"]


def test_the_kernel_is_the_interpreter_of_the_server():
    spec = json.loads((CONFIGURED / "kernels" / "flnb" / "kernel.json").read_text())
    assert spec["argv"][0] == "python"  # jupyter_client puts its own interpreter there
