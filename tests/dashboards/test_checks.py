"""The list of what a browser looks at names tests that there are."""

import re
from pathlib import Path

README = Path(__file__).parents[1] / "ui" / "README.md"


def test_each_of_the_thirty_checks_has_a_test_that_is_there():
    rows = [line for line in README.read_text("utf-8").splitlines() if re.match(r"\| \d", line)]
    assert [int(row.split()[1]) for row in rows] == list(range(1, 31))
    named = re.findall(r"`([\w./]+)::(\w+)`", "".join(rows))
    missing = [
        (file, name)
        for file, name in named
        if f"def {name}(" not in (README.parent / file).read_text("utf-8")
    ]
    assert missing == []
    assert len(set(named)) >= 28
