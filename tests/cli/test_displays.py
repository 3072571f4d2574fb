import io
from dataclasses import replace

import pytest
from rich.console import Console

from flnb.cli.lines import Lines
from flnb.cli.table import LiveTable, picture
from flnb.core.view import RunView, Status
from tests.cli.standins import VIEW


@pytest.mark.parametrize("width", [80, 120])
def test_the_live_table_fits_the_terminal(width):
    console = Console(file=io.StringIO(), width=width, record=True)
    console.print(picture(VIEW))
    text = console.export_text()
    assert max(len(line.rstrip()) for line in text.splitlines()) <= width
    for fact in (
        "quiet-otter",
        "● running",
        "round 42/100",
        "810 ms/round",
        "clients 8/12 in",
        "9f3c",
        "812 MB",
    ):
        assert fact in text
    assert "…" not in text


def test_a_resumed_run_gets_a_new_table_below_the_old_one():
    console = Console(file=io.StringIO(), width=80, height=40, force_terminal=True, record=True)
    table = LiveTable(console)
    for _ in range(2):
        table.show(replace(VIEW, status=Status.PAUSED), final=True)
    table.show(VIEW)
    table.show(replace(VIEW, status=Status.FINISHED), final=True)
    text = console.export_text()
    assert text.index("◐ paused") < text.index("✓ finished")
    assert text.count("◐ paused") == 2, "drawn, and left standing; the second asks for nothing new"


def test_what_users_wrote_is_not_read_as_markup():
    console = Console(file=io.StringIO(), width=100, force_terminal=True, record=True)
    LiveTable(console).show(replace(VIEW, name="[red]x", error="[/bold] boom"), final=True)
    text = console.export_text()
    assert "[red]x" in text
    assert "[/bold] boom" in text


def test_each_round_is_one_line_once(capsys):
    lines = Lines()
    for number in range(1, 4):
        rows = tuple(replace(VIEW.rows[0], round=n) for n in range(number, 0, -1))
        for _ in range(2):
            lines.show(replace(VIEW, round=number, rows=rows))
    lines.show(replace(VIEW, rows=rows, status=Status.FINISHED), final=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert [line.split()[1] for line in err.splitlines()[:-1]] == ["1/100", "2/100", "3/100"]
    first = "round   1/100  accuracy 0.840  loss 0.024  used 10/12  810 ms"
    assert err.splitlines()[0] == first
    assert err.splitlines()[-1].startswith("quiet-otter · main · ✓ finished")


def test_the_rounds_that_lead_to_a_branch_are_one_line(capsys):
    rows = tuple(
        replace(VIEW.rows[0], round=number, branch="main" if number < 4 else "bold")
        for number in range(5, 0, -1)
    )
    lines, view = Lines(), replace(VIEW, branch="bold")
    for at in (2, 0):
        lines.show(replace(view, rows=rows[at:]))
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "goes on after round 3 of main"
    assert [line.split()[1] for line in said[1:]] == ["4/100", "5/100"]


def test_a_round_that_is_done_again_is_written_again_after_what_a_guard_found(capsys):
    rows = [replace(VIEW.rows[0], round=number, commit="") for number in range(6, 0, -1)]
    lines, found = Lines(), "round 6, loss > 2"
    for at in (2, 1):
        lines.show(replace(VIEW, rows=tuple(rows[at:])))
    lines.show(replace(VIEW, rows=tuple(rows), noted=found))
    old = [replace(row, commit="9f3c") for row in rows[2:]]
    again = [replace(rows[1], seconds=0.5), *old]
    for there in (old, again):
        lines.show(replace(VIEW, rows=tuple(there), noted=found, generation=2))
    said = capsys.readouterr().err.splitlines()[4:]
    assert [line[:15] for line in said[:2]] == ["round   5/100  ", "round   6/100  "]
    assert said[2:4] == [f"guard: {found}", "goes on after round 4, as generation 2"]
    assert [line[:15] for line in said[4:]] == ["round   5/100  "]


def test_a_head_that_goes_back_behind_all_that_is_shown_repeats_no_line(capsys):
    rows = [replace(VIEW.rows[0], round=number, seconds=number / 8) for number in range(20, 0, -1)]
    lines = Lines()
    for at in (12, 4, 0):
        lines.show(replace(VIEW, rows=tuple(rows[at : at + 8])))
    lines.show(replace(VIEW, rows=tuple(rows[10:18]), generation=2))
    lines.show(replace(VIEW, rows=tuple(rows[:8]), generation=3))
    said = capsys.readouterr().err.splitlines()
    assert said[20] == "goes on after round 10, as generation 2"
    assert [line.split()[1] for line in said[21:]] == [f"{number}/100" for number in range(13, 21)]


def test_unused_clients_are_on_the_line_of_their_round(capsys):
    row = replace(VIEW.rows[0], refused=2)
    Lines().show(replace(VIEW, rows=(row,)))
    assert "used 10/12  unused 2  810 ms" in capsys.readouterr().err


def test_the_end_says_why_once(capsys):
    lines, view = Lines(), RunView("x", "main", 1, Status.PAUSED, rounds=3, error="no clients")
    lines.show(view, final=True)
    lines.show(view, final=True)
    assert capsys.readouterr().err.splitlines() == ["x · main · ◐ paused · round 0/3", "no clients"]
