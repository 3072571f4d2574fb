"""The site: staged pages keep their places, Sphinx makes them without a warning and without a request."""

import copy
import json
import os
from pathlib import Path

import pytest

from docs.made import notebooks, reference, requests, staging
from docs.made.__main__ import build

pytestmark = pytest.mark.filterwarnings("ignore")  # Sphinx and docutils have their own
INDEX = """# A small site

## Written

- [Executed](../notebooks/executed.ipynb): a notebook

## Reference

Made.
"""
FRAME = {
    "output_type": "display_data",
    "metadata": {},
    "data": {"text/html": "<iframe src='http://127.0.0.1:1'>"},
}
CELL = {"cell_type": "code", "id": "b", "metadata": {"papermill": {}}, "source": "run.panel()"}
NOTEBOOK = {
    "cells": [
        {"cell_type": "markdown", "id": "a", "metadata": {}, "source": "# Executed"},
        {**CELL, "execution_count": 1, "outputs": [FRAME]},
    ],
    "metadata": {"language_info": {"name": "python", "pygments_lexer": "ipython3"}},
    "nbformat": 4,
    "nbformat_minor": 5,
}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A site of an index, a notebook, a made table and a page of the Python interface."""
    folder = tmp_path_factory.mktemp("site")
    for name, text in {"docs/index.md": INDEX, "design/README.md": "# Notes\n"}.items():
        (folder / "repository" / name).parent.mkdir(parents=True)
        (folder / "repository" / name).write_text(text)
    shown = json.dumps(notebooks.shown(copy.deepcopy(NOTEBOOK)))
    with pytest.MonkeyPatch.context() as patch:
        made = {name: reference.PAGES[name] for name in ("errors.md", "python/errors.md")}
        patch.setattr(reference, "PAGES", made)
        patch.setattr(staging, "ROOT", folder / "repository")
        staging.stage(folder / "source", {Path("notebooks/executed.ipynb"): shown})
    (folder / "source/design/README.md").unlink()
    assert build(folder / "source", folder / "html") == 0
    return folder


def html(site, name):
    return (site / "html" / name).read_text("utf-8")


def test_the_site_has_written_made_and_executed_pages_side_by_side(site):
    index = html(site, "docs/index.html")
    for link in (
        "../notebooks/executed.html",
        "reference/errors.html",
        "reference/python/errors.html",
    ):
        assert f'href="{link}"' in index
    assert "StorageFullError" in html(site, "docs/reference/errors.html")
    assert "docs/index.html" in html(site, "index.html")


def test_the_python_interface_shows_docstrings_with_their_sections(site):
    page = html(site, "docs/reference/python/errors.html")
    assert "Root of every error" in page
    assert "What to do next" in page
    assert "Args:" not in page


def test_the_site_asks_nobody_for_anything(site):
    assert list(requests.of_site(site / "html")) == []
    assert len(list((site / "html").rglob("*.css"))) > 2


@pytest.mark.parametrize(
    "asks",
    [
        '<script src="https://cdn.example/x.js"></script>',
        '<link rel="stylesheet" href="//fonts.example/css">',
        '<img src="http://a.example/x.png">',
        "<iframe src='http://127.0.0.1:1/x'></iframe>",
        "<style>@font-face { src: url(https://fonts.example/f.woff2) }</style>",
        "<style>@import 'https://fonts.example/css';</style>",
        '<p style="background: url(//a.example/x.png)">',
    ],
)
def test_a_page_that_loads_something_from_elsewhere_is_found(asks):
    assert len(requests.of_page(f"<html>{asks}<p>text</p></html>")) == 1


def test_a_page_of_a_kernel_that_ended_becomes_a_picture(site):
    page = html(site, "notebooks/executed.html")
    assert "iframe" not in page
    assert list((site / "html/_images").glob("*.png"))


def test_what_did_not_change_is_not_laid_out_again(tmp_path):
    page = tmp_path / "page.md"
    staging._put(page, b"one")
    os.utime(page, (1, 1))
    staging._put(page, b"one")
    assert page.stat().st_mtime == 1
    staging._put(page, b"two")
    assert page.stat().st_mtime > 1


def test_the_tree_at_the_side_follows_headings_and_links():
    tree = staging.contents(
        "# A\n\n## Begin\n\n- [Start](start.md): x\n- [Design](../design/README.md)\n"
    )
    assert tree.count("toctree") == 1
    assert ":caption: Begin\n\nStart <start>\nDesign </design/README>\n" in tree
