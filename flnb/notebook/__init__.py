"""The notebook face: the live frame and the magics.

Here is what needs IPython; cards are plain HTML and live in `flnb.core.cards`. Read `frame.py`
first. Nothing is magic-only: `%%flsql` is `lab.sql(...).df()`, `%fl status` shows the lab's runs.
"""

from flnb.notebook.frame import NotebookFrame

__all__ = ["NotebookFrame"]
