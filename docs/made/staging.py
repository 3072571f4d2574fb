"""What Sphinx reads: the pages of the repository at their own places, and the made ones beside them.

A copy, so that nothing that is made lies among what is written, and so that a link such as
`../design/003-crash.md` leads to the same place here, on the site and in the repository.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from docs.made import reference

ROOT = Path(__file__).parents[2]
INDEXES = (Path("docs/index.md"), Path("design/README.md"))
"""Pages that list others: what they link to stands below them at the side."""
_WRITTEN = (
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "docs/*.md",
    "docs/figures/*",
    "docs/monitoring/*",
    "design/*.md",
    "experiments/*",
)
_LINK = re.compile(r"\[([^]]+)\]\((?!https?:)([^)#]+\.(?:md|ipynb))\)")


def written() -> Iterator[Path]:
    """Every written file that the site shows, from the repository's root."""
    for pattern in _WRITTEN:
        yield from (path.relative_to(ROOT) for path in sorted(ROOT.glob(pattern)) if path.is_file())


def stage(folder: Path, notebooks: Mapping[Path, str]) -> None:
    """Lay out what Sphinx reads. What has not changed keeps its time, so that it is not read again.

    Args:
        folder: Where to.
        notebooks: Executed notebooks by their places in the repository.
    """
    wanted = {path: (ROOT / path).read_bytes() for path in written()}
    wanted |= {path: text.encode() for path, text in notebooks.items()}
    wanted |= {
        Path("docs/reference") / name: make().encode() for name, make in reference.PAGES.items()
    }
    for index in INDEXES:
        text = wanted[index].decode()
        wanted[index] = f"{text}\n{contents(text)}".encode()
    for path in [one for one in folder.rglob("*") if one.is_file()]:
        if path.relative_to(folder) not in wanted:
            path.unlink()
    for name, data in wanted.items():
        _put(folder / name, data)


def contents(index: str) -> str:
    """The tree of pages, for Sphinx, from the headings and links of an index; the reader sees it at the side.

    Args:
        index: A page where others stand as links below a heading; below `Reference` come the made ones.
    """
    _, *parts = re.split(r"^##? (.+)$", index, flags=re.MULTILINE)
    trees = []
    for title, body in zip(parts[::2], parts[1::2], strict=True):
        documents = [f"{name} <{_document(link)}>" for name, link in _LINK.findall(body)]
        if title == "Reference":
            documents += [f"reference/{name.removesuffix('.md')}" for name in reference.PAGES]
        trees += [_tree(title, documents)] if documents else []
    return "\n\n".join(trees) + "\n"


def _document(link: str) -> str:
    """A link of the index as Sphinx names documents: absolute where it leaves the folder."""
    name = link.rpartition(".")[0]
    return f"/{name.removeprefix('../')}" if name.startswith("../") else name


def _tree(title: str, documents: list[str]) -> str:
    lines = "\n".join(documents)
    return f"```{{toctree}}\n:hidden:\n:caption: {title}\n\n{lines}\n```"


def _put(path: Path, data: bytes) -> None:
    if not path.exists() or path.read_bytes() != data:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
