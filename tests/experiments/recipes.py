"""Small recipes for tests: notebooks that train nothing unless they say so."""

import nbformat

ALPHA = "alpha: float = 0.3\nseed: int = 0"


def write_recipe(path, *cells, parameters=ALPHA):
    """Write a notebook of these code cells below its parameters cell."""
    notebook = nbformat.v4.new_notebook()
    first = nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]})
    notebook.cells = [first, *map(nbformat.v4.new_code_cell, cells)]
    nbformat.write(notebook, path)
    return path
