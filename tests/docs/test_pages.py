"""Written pages: all are found, links lead somewhere, and lists that people keep are complete."""

import re
import tomllib
from pathlib import Path

import pytest
from myst_parser.slugs import github_slugify

from docs.made import staging
from flnb.core.plan import strategy_registry
from flnb.core.progress import progress_registry
from flnb.datasets import partitioner_registry
from flnb.service.events.event import TYPES

ROOT = staging.ROOT
PAGES = [path for path in staging.written() if path.suffix == ".md"]
SOURCES = [path.read_text(encoding="utf-8") for path in sorted((ROOT / "flnb").rglob("*.py"))]


def prose(path):
    """A page without its blocks of code."""
    return re.sub(
        r"^```.*?^```", "", (ROOT / path).read_text("utf-8"), flags=re.DOTALL | re.MULTILINE
    )


def anchors(path):
    titles = re.findall(r"^#+ (.+)$", prose(path), flags=re.MULTILINE)
    return {github_slugify(re.sub(r"[`*]", "", title)) for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_links_of_a_page_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        there = (ROOT / page.parent / name).resolve() if name else ROOT / page
        assert there.is_file(), link
        assert not anchor or anchor in anchors(there.relative_to(ROOT)), link


def test_every_page_and_notebook_is_in_the_index():
    index = ROOT / "docs/index.md"
    linked = {
        (index.parent / link).resolve() for link in re.findall(r"\]\(([^)#]+)\)", index.read_text())
    }
    wanted = {*(ROOT / "docs").glob("*.md"), *(ROOT / "notebooks").glob("*.ipynb")} - {index}
    assert sorted(path.name for path in wanted - linked) == []


def test_every_design_page_is_listed():
    listed = (ROOT / "design/README.md").read_text("utf-8")
    names = {path.name for path in (ROOT / "design").glob("0*.md")}
    assert [name for name in names if f"]({name})" not in listed] == []


def test_every_event_and_every_figure_of_the_service_is_documented():
    page = (ROOT / "docs/events.md").read_text("utf-8")
    figures = set(
        re.findall(r'"(flnb_[a-z_]+)"', (ROOT / "flnb/service/prometheus.py").read_text())
    )
    assert len(figures) > 10
    assert [name for name in sorted(TYPES | figures) if f"`{name}" not in page] == []


def test_every_group_of_entry_points_is_documented():
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]
    asked = {one._group for one in (strategy_registry, partitioner_registry, progress_registry)}
    named = set(re.findall(r'"(flnb\.[a-z]+)", "flnb[.a-z]*"\n\)', "\n".join(SOURCES)))
    assert named <= asked
    page = (ROOT / "docs/plug-ins.md").read_text("utf-8")
    assert [group for group in sorted(asked | set(declared)) if f"| `{group}` |" not in page] == []


def test_every_variable_of_the_environment_is_documented():
    read = set(re.findall(r'"(FLNB_[A-Z_]+|JWT_[A-Z_]+|DATABASE_URL)"', "\n".join(SOURCES)))
    assert {"FLNB_LAB", "JWT_SECRET"} <= read
    page = Path(ROOT / "docs/environment.md").read_text("utf-8")
    assert [name for name in sorted(read) if f"`{name}`" not in page] == []
