"""The process of a worker, as it starts."""

import subprocess
import sys


def test_a_worker_imports_papermill_without_grammars_of_addresses():
    program = "import flnb.experiments.cell, sys; print('papermill' in sys.modules, 'lark' in sys.modules)"
    told = subprocess.check_output([sys.executable, "-W", "ignore", "-c", program], text=True)
    assert told.split() == ["True", "False"]
