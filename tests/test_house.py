"""The house rules that no linter knows: sizes, names, signs at the doors, and what the pages say.

What ruff already sees (docstrings on everything public, no `print`, sorted `__all__`, complexity)
is left to it.
"""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import jaxtyping
import pytest

from benchmarks.timing import import_cost
from flnb.core import errors

ROOT = Path(__file__).parent.parent
SOURCES = sorted(
    path for path in (ROOT / "flnb").rglob("*.py") if "_gen" not in path.relative_to(ROOT).parts
)
ROOMS = sorted(path.parent.name for path in (ROOT / "flnb").glob("*/__init__.py"))
EXIT_CODES = {1, 2, 3, 4}


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def test_no_file_is_too_long_to_know():
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for path in SOURCES
    }
    assert {name: length for name, length in lengths.items() if length > 400} == {}


def test_every_file_is_called_after_what_it_holds():
    vague = {"util", "helper", "common", "misc", "manager"}
    named = {part for path in SOURCES for part in path.relative_to(ROOT).with_suffix("").parts}
    words = {word.rstrip("s") for name in named for word in name.split("_")}
    assert words & vague == set()


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_has_a_sign_and_a_complete_list_and_no_code(room):
    module = tree_of(ROOT / "flnb" / room / "__init__.py")
    sign = ast.get_docstring(module) or ""
    assert re.search(r"Read\s+`", sign), "says which file to read first"
    named = re.findall(r"`([\w/]+\.py)`", sign)
    assert [name for name in named if not (ROOT / "flnb" / room / name).exists()] == []
    imports = [node for node in module.body if isinstance(node, ast.ImportFrom)]
    code = [node for node in module.body[1:] if node not in imports]
    listed = [name for node in code for name in names_listed(node)]
    offered = {alias.asname or alias.name for node in imports for alias in node.names}
    assert set(listed) == {name for name in offered if not name.startswith("_")}


def names_listed(node: ast.stmt) -> list[str]:
    match node:
        case ast.Assign(targets=[ast.Name(id="__all__")], value=value):
            return ast.literal_eval(value)
    pytest.fail(f"code in a room's __init__.py: {ast.unparse(node)}")


def test_the_front_door_offers_few_names_and_all_of_them_are_there():
    flnb = importlib.import_module("flnb")
    assert 0 < len(flnb.__all__) <= 40
    assert [name for name in flnb.__all__ if not hasattr(flnb, name)] == []


def test_the_architecture_page_draws_the_rooms_that_there_are():
    page = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    drawn = re.findall(
        r"^  (\w+)/ ", page.partition("\nflnb/\n")[2].partition("```")[0], re.MULTILINE
    )
    assert sorted(drawn) == ROOMS


@pytest.mark.parametrize("page", ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "docs/*.md"])
def test_files_that_a_page_names_are_there(page):
    for path in ROOT.glob(page):
        text = path.read_text(encoding="utf-8")
        named = re.findall(r"`([\w./-]+/[\w.-]+\.(?:py|md|toml|yml|yaml|ipynb|txt))`", text)
        linked = [link for link in re.findall(r"\]\(([^)#]+)", text) if "://" not in link]
        absent = [name for name in named if not (ROOT / name).exists()]
        absent += [name for name in linked if not (path.parent / name).exists()]
        assert absent == [], path.name


def all_errors(root: type) -> set[type]:
    return {root}.union(*(all_errors(child) for child in root.__subclasses__()))


def test_every_error_stands_in_the_drawn_tree_under_its_parent():
    drawn, above = {}, {}
    for line in (errors.__doc__ or "").splitlines():
        if found := re.match(r"([ │├└─]+)(\w+Error)\b", line):
            depth = len(found[1])
            above[depth] = found[2]
            drawn[found[2]] = above.get(depth - 4)
    real = {
        error.__name__: error.__base__.__name__
        for error in all_errors(errors.FLBaseError)
        if error.__module__.startswith("flnb.")
    }
    assert drawn == {**real, "FLBaseError": None}


def test_every_error_has_an_exit_code():
    assert {error.exit_code for error in all_errors(errors.FLBaseError)} <= EXIT_CODES


def test_errors_are_defined_in_one_place():
    elsewhere = [
        f"{path.relative_to(ROOT)}: {node.name}"
        for path in SOURCES
        if path != ROOT / "flnb/core/errors.py"
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.ClassDef)
        and any(name.endswith("Error") for name in [node.name, *map(ast.unparse, node.bases)])
    ]
    assert elsewhere == []


def test_importing_flnb_is_quick_and_brings_no_torch():
    program = "import flnb, sys; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    modules = subprocess.check_output([sys.executable, "-c", program], cwd=ROOT, text=True)
    assert not {"torch", "sklearn", "pandas", "duckdb", "icechunk"} & set(modules.split())
    costs, _ = import_cost("flnb", times=5)
    assert min(costs) < 0.3


def test_no_tracked_file_names_a_place_on_somebodys_machine():
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.check_output(listed, cwd=ROOT, text=True).split("\0")
    place = re.compile(r"(?<![\w.-])/(?:work|root|home|Users|farm)/\w")
    found = []
    for name in filter(None, names):
        path = ROOT / name
        if path.is_file() and path.suffix not in {".png", ".npz", ".gz"}:
            text = path.read_text(encoding="utf-8")
            found += [f"{name}: {match[0]}" for match in place.finditer(text)]
    assert found == []


def test_calls_are_checked_while_the_tests_run_in_every_room_but_store():
    pyproject = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (packages,) = re.findall("--jaxtyping-packages=(.*),call_checks", pyproject)
    assert packages.split(",") == [f"flnb.{room}" for room in ROOMS if room != "store"]
    with pytest.raises(jaxtyping.TypeCheckError, match="parameter 'name'"):
        errors.did_you_mean(7, [])


def test_the_linter_still_watches_over_prints_and_docstrings():
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    lint = pyproject["tool"]["ruff"]["lint"]
    spared = [rules for files, rules in lint["per-file-ignores"].items() if "flnb" in files]
    ignored = {rule for rules in [lint["ignore"], *spared] for rule in rules}
    assert {"D", "T20"} <= set(lint["select"])
    assert {rule for rule in ignored if re.match("D1|T2", rule)} <= {"D105", "D107"}
