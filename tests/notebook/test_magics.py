import pandas as pd
import pytest
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from flnb.core.errors import QueryRefusedError
from flnb.notebook import magics


class _Table:
    def df(self):
        return pd.DataFrame({"client": ["c000"], "n": [3]})


class _Lab:
    def __init__(self):
        self.asked = []

    def sql(self, query):
        if "DROP" in query:
            raise QueryRefusedError("only one SELECT", hint="read with SELECT")
        self.asked.append(query)
        return _Table()

    def runs(self):
        return ["quiet-otter"]


@pytest.fixture
def lab(monkeypatch):
    lab = _Lab()
    monkeypatch.setattr(magics, "_lab", lambda: lab)
    return lab


@pytest.fixture
def shell(tmp_path):
    settings = Config()
    settings.HistoryManager.enabled = False
    shell = InteractiveShell(config=settings, ipython_dir=str(tmp_path))
    magics.load(shell)
    return shell


def test_a_query_is_shown_and_kept_under_its_name(shell, lab):
    shown = shell.run_cell_magic("flsql", "odd", "SELECT client, n FROM x\n")
    assert lab.asked == ["SELECT client, n FROM x\n"]
    assert shown is shell.user_ns["odd"]
    assert shown.n.tolist() == [3]


def test_a_query_without_a_name_only_shows_its_answer(shell, lab):
    before = set(shell.user_ns)
    assert shell.run_cell_magic("flsql", "", "SELECT 1").n.tolist() == [3]
    assert set(shell.user_ns) == before


def test_a_refused_query_speaks_without_a_traceback(shell, lab):
    with pytest.raises(UsageError, match="→ read with SELECT"):
        shell.run_cell_magic("flsql", "odd", "DROP TABLE rounds")
    assert "odd" not in shell.user_ns


@pytest.mark.parametrize("name", ["two words", "a.b", "1st"])
def test_the_answer_goes_to_one_plain_name(shell, lab, name):
    with pytest.raises(UsageError, match="one name"):
        shell.run_cell_magic("flsql", name, "SELECT 1")
    assert lab.asked == []


@pytest.mark.parametrize("line", ["", "status", " status "])
def test_status_shows_the_runs_of_the_lab(shell, lab, line):
    assert shell.run_line_magic("fl", line) == ["quiet-otter"]


def test_an_unknown_command_offers_the_known_one(shell, lab):
    with pytest.raises(UsageError, match="did you mean 'status'"):
        shell.run_line_magic("fl", "statsu")
