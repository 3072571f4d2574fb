"""The frame in a real kernel: it moves from another thread while other cells run."""

import nbformat
import pytest
from nbclient import NotebookClient

START = """
import contextvars, threading, time
from dataclasses import replace
from flnb.core import progress
from flnb.core.view import RunView, Status

view = RunView("quiet-otter", "main", 1, Status.RUNNING, rounds=20)
display = progress.here()
display.show(view)

def train():
    for number in range(1, 20):
        time.sleep(0.05)
        display.show(replace(view, round=number))
    display.show(replace(view, round=20, status=Status.FINISHED), final=True)

# An event loop runs its callbacks in the context of whoever asked for them; so does this thread.
thread = threading.Thread(target=contextvars.copy_context().run, args=(train,))
thread.start()
"""


@pytest.fixture(scope="module")
def cells():
    sources = [START, "for n in range(3):\n    time.sleep(0.1); print(n)", "thread.join()"]
    made = [nbformat.v4.new_code_cell(source) for source in sources]
    notebook = nbformat.v4.new_notebook(cells=made)
    NotebookClient(notebook, timeout=60).execute()
    return notebook.cells


def test_the_last_frame_is_in_the_cell_that_started_the_run(cells):
    (frame,) = cells[0].outputs
    assert frame.output_type == "display_data"
    assert "✓ finished" in frame.data["text/plain"]
    assert "round 20/20" in frame.data["text/plain"]
    assert "✓" in frame.data["text/html"]


def test_nothing_strays_into_the_cells_that_run_meanwhile(cells):
    assert "".join(output.text for output in cells[1].outputs) == "0\n1\n2\n"
    assert cells[2].outputs == []
