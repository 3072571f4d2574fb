"""A recipe: a notebook whose cell tagged `parameters` says what it can be given."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flnb.core.errors import RecipeError, did_you_mean
from flnb.experiments.parameters import Parameters

TAG = "parameters"
_DIGITS = 16


@dataclass(frozen=True, slots=True)
class Recipe:
    """What is known of a recipe without executing it.

    Args:
        path: The notebook.
        sources: Of its code cells, in order.
        parameters: Read from the tagged one.
        place: Which that is, from 0.
        text: The whole notebook as it was read; what is executed, whatever becomes of the file.
    """

    path: Path
    sources: tuple[str, ...]
    parameters: Parameters
    place: int
    text: str

    @classmethod
    def read(cls, path: str | Path) -> Recipe:
        """Read a notebook; its outputs are not looked at.

        Args:
            path: The `.ipynb` file.

        Raises:
            RecipeError: There is no such notebook, it is none, it has no parameters cell or two of
                them, or that cell holds what a study cannot set.
        """
        path = Path(path)
        text = _text(path)
        cells = _code_cells(path, text)
        tagged = [place for place, cell in enumerate(cells) if TAG in _tags(cell)]
        if len(tagged) != 1:
            raise RecipeError(
                f"{path.name} has {len(tagged) or 'no'} cells tagged {TAG!r}, and a recipe has one",
                hint="put alpha: float = 0.3 and the like into a cell of its own, and tag that cell "
                f"{TAG} (in JupyterLab: property inspector, cell tags)",
            )
        sources = tuple(_source(cell) for cell in cells)
        place = tagged[0]
        parameters = Parameters.of(sources[place], f"cell {place + 1} of {path.name}")
        return cls(path, sources, parameters, place, text)

    @property
    def digests(self) -> tuple[str, ...]:
        """A digest of each code cell; white space at the ends of lines does not count."""
        return tuple(digest(source) for source in self.sources)

    def changes(self, before: tuple[str, ...]) -> list[str]:
        """Which code cells are others than those of a reading before, in words.

        Args:
            before: Its digests.
        """
        now = self.digests
        if now == before:
            return []
        fresh = [f"cell {place + 1}" for place, one in enumerate(now) if one not in before]
        gone = sum(one not in now for one in before) - len(fresh)
        found = [", ".join(fresh)] if fresh else []
        found += [f"{gone} more cells are gone"] if gone > 0 else []
        return found or ["the order of its cells"]

    @property
    def kernel(self) -> str:
        """Name of the kernel that it was written for; Python's own where it does not say."""
        name = _facts(_facts(json.loads(self.text), "metadata"), "kernelspec").get("name")
        return name if name and isinstance(name, str) else "python3"

    def check_kernel(self) -> None:
        """Refuse a recipe whose kernel is not installed here.

        Raises:
            RecipeError: There is no kernel of that name; the nearest is offered.
        """
        from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel  # takes a moment

        known = KernelSpecManager()
        try:
            known.get_kernel_spec(self.kernel)
        except NoSuchKernel:
            raise RecipeError(
                f"{self.path.name} wants the kernel {self.kernel!r}, which is not installed",
                name=self.kernel,
                hint=f"{did_you_mean(self.kernel, known.find_kernel_specs())}; choose another one in "
                "JupyterLab, or name its folder in JUPYTER_PATH",
            ) from None

    def check_seeds(self, seeds: tuple[int, ...]) -> None:
        """Refuse seeds for a recipe that has no use for them.

        Raises:
            RecipeError: It has no parameter `seed`.
        """
        if seeds and "seed" not in self.parameters.defaults:
            near = did_you_mean("seed", self.parameters.defaults)
            raise RecipeError(
                "a study with seeds needs a parameter seed",
                cell=self.parameters.cell,
                name="seed",
                hint=f"write seed: int = 0, and pass P.seed to the plan; {near}",
            )


def digest(source: str) -> str:
    """A short digest of a cell's source.

    Examples:
        >>> digest("x = 1  ") == digest("x = 1"), digest("x = 1") == digest("x = 2")
        (True, False)
    """
    lines = "\n".join(line.rstrip() for line in source.strip().splitlines())
    return hashlib.sha256(lines.encode()).hexdigest()[:_DIGITS]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        folder = path.parent if path.parent.is_dir() else Path()
        near = did_you_mean(path.name, sorted(one.name for one in folder.glob("*.ipynb")))
        raise RecipeError(f"no recipe {path}", hint=near) from None
    except (OSError, ValueError) as error:
        raise RecipeError(f"{path} is not a notebook: {error}") from error


def _code_cells(path: Path, text: str) -> list[dict[str, Any]]:
    try:
        notebook = json.loads(text)
    except ValueError as error:
        raise RecipeError(f"{path} is not a notebook: {error}") from error
    if not isinstance(notebook, dict) or notebook.get("nbformat") != 4:
        raise RecipeError(
            f"{path} is not a notebook of format 4", hint="open and save it in Jupyter"
        )
    try:
        return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    except (LookupError, TypeError) as error:
        raise RecipeError(f"{path} is not a whole notebook: {error!r}") from error


def _tags(cell: dict[str, Any]) -> list[str]:
    return list(_facts(cell, "metadata").get("tags") or ())


def _facts(of: dict[str, Any], name: str) -> dict[str, Any]:
    """What a notebook says under a name; tools write null for nothing."""
    found = of.get(name)
    return found if isinstance(found, dict) else {}


def _source(cell: dict[str, Any]) -> str:
    source = cell.get("source") or ""
    return source if isinstance(source, str) else "".join(source)
