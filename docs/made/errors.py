"""The page of errors: what is raised, what to do about it, and what programs see of it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from docs.made.markdown import code, first_paragraph, page, table
from flnb.cli import output
from flnb.core import errors
from flnb.service.problems import code_of_class

_ABOUT = """Everything that flnb raises on purpose is a `flnb.FLBaseError`: a message with its numbers, and a `hint` that says what to do. There is
one class for each *reaction*; `except flnb.core.errors.StoreError` also takes what stands below it."""
_EXIT_CODES = {
    output.OK: "all went well",
    output.FAILED: "it failed, or the run paused by itself",
    2: "bad input",
    3: "refused: the lab is held, another task …",
    4: "nobody answers",
    output.INTERRUPTED: "^C, which saves",
}


def classes(
    root: type[errors.FLBaseError] = errors.FLBaseError,
) -> Iterator[type[errors.FLBaseError]]:
    """Walk over all errors, each after the one that it is a kind of."""
    yield root
    for child in root.__subclasses__():
        if child.__module__ == errors.__name__:
            yield from classes(child)


def written() -> str:
    """Write the page."""
    exits = table(
        ["exit code", "meaning"], [[str(number), words] for number, words in _EXIT_CODES.items()]
    )
    rows = [
        [
            code(error.__name__),
            first_paragraph(error.__doc__),
            str(error.exit_code),
            str(error.http_status),
            code(code_of_class(error)),
        ]
        for error in classes()
    ]
    head = ["error", "meaning", "exit code", "HTTP", "code of REST"]
    tree = f"```text\n{_tree()}\n```"
    about_tree = "What to do stands after the colon."
    parts = ["## Which is a kind of which", about_tree, tree, "## Exit codes of commands", exits]
    return page("Errors", _ABOUT, table(head, rows), *parts)


def _tree() -> str:
    lines = (errors.__doc__ or "").splitlines()
    return "\n".join(line[4:] for line in lines if re.search(r"^    (FLBaseError|[│├└ ]+─)", line))
