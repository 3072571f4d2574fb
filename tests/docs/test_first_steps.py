"""A newcomer types what the README says: from a CSV file to a federated result, in a fresh folder."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

README = Path(__file__).parents[2] / "README.md"
PROGRAMS = Path(sys.executable).parent


def blocks():
    """What the section tells to type, and to write into `own.py`, in its order."""
    section = README.read_text("utf-8").partition("## From your own CSV file\n")[2]
    section = section.partition("\n## ")[0]
    return re.findall(r"```(bash|python)\n(.*?)```", section, re.DOTALL)


@pytest.fixture(scope="module")
def followed(tmp_path_factory):
    """A folder in which all of it was done, and what the commands said."""
    folder = tmp_path_factory.mktemp("fresh")
    (folder / ".venv").symlink_to(PROGRAMS.parent)  # as `make demo` leaves it, without the install
    wanted = {"PATH", "PYTHONPATH", "LANG"}
    environment = {name: value for name, value in os.environ.items() if name in wanted}
    environment |= {"HOME": str(folder), "OMP_NUM_THREADS": "1"}
    said = []
    for language, text in blocks():
        if language == "python":
            (folder / "own.py").write_text(text)
            continue
        typed = ["bash", "-euc", text]
        said.append(
            subprocess.run(
                typed, cwd=folder, env=environment, check=True, capture_output=True, text=True
            )
        )
    return folder, said


def test_the_readme_says_what_to_type_in_three_steps():
    assert [language for language, _ in blocks()] == ["bash", "python", "bash"]


def test_a_csv_file_becomes_a_federated_result(followed):
    folder, (_, last) = followed
    assert set(pd.read_csv(folder / "patients.csv")["hospital"]) == {"north", "east", "south"}
    names, _, *rounds = last.stdout.partition("metric ")[2].splitlines()[:5]
    assert names.split() == ["accuracy", "loss"]
    assert [int(each.split()[0]) for each in rounds] == [18, 19, 20]
    assert all(float(each.split()[1]) > 0.9 for each in rounds)
    assert "✓ finished  20/20" in last.stdout
    assert all(name in last.stdout for name in ("north", "east", "south"))


def test_everything_that_was_written_lies_in_the_folder(followed):
    folder, _ = followed
    found = {path.name for path in folder.iterdir()} - {".cache"}
    assert found == {".venv", "lab", "own.py", "patients.csv"}


def test_the_model_of_the_result_can_be_used(followed, interpreters):
    folder, _ = followed
    ask = "import flnb; print(flnb.open('lab').run('patients').model().values.size)"
    assert int(interpreters.run(ask, cwd=folder).stdout) >= 30 * 16 + 16 + 16 * 2 + 2
