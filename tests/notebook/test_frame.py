import re
from dataclasses import replace

import pytest

from flnb.core.view import Phase, RoundRow, RunView, Status
from flnb.notebook import frame

ROWS = tuple(
    RoundRow(number, {"loss": 1 / number, "accuracy": number / 50}, 10, 12, number % 2, 8.1, "9f3c")
    for number in range(42, 34, -1)
)
VIEW = RunView(
    name="quiet-otter",
    branch="main",
    generation=1,
    status=Status.RUNNING,
    rounds=100,
    round=42,
    phase=Phase.COLLECTING,
    invited=12,
    accepted=8,
    refused=1,
    lost=1,
    bytes_up=812_000_000,
    seconds_a_round=8.1,
    rows=ROWS,
    headline="accuracy",
    curve=tuple((number, number / 50) for number in range(1, 43)),
)


def words(markup):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", markup).replace("&nbsp;", " "))


@pytest.fixture
def published(monkeypatch):
    """What the notebook would receive: (content, display id, whether it replaces)."""
    sent = []

    class Handle:
        def update(self, content, *, raw):
            sent.append((content, True))

    def display(content, *, raw, display_id):
        assert raw
        assert display_id
        sent.append((content, False))
        return Handle()

    monkeypatch.setattr(frame, "display", display)
    return sent


def test_the_frame_says_how_the_run_stands():
    said = words(frame.markup(VIEW))
    for fact in ("quiet-otter", "main · gen 1", "● running", "round 42 /100"):
        assert fact in said
    assert "8.1 s/round · 7 min 50 s left" in said
    assert "clients 8/12 in · 2 training · 1 unused · 1 lost" in said
    assert "up 812 MB" in said


def test_the_text_of_the_frame_reads_as_a_table():
    lines = frame.text(VIEW).splitlines()
    assert lines[0].startswith("quiet-otter  main  gen 1   ● running   round 42/100 ▓▓▓▓▓▓▓▓░")
    heads, first, *_, last = lines[2:11]
    assert heads.split() == ["round", "accuracy", "loss", "used", "unused", "time", "commit"]
    assert first.split() == ["42", "0.840", "0.024", "10/12", "·", "8.1", "s", "9f3c"]
    assert last.split()[0] == "35"
    assert len({len(line) for line in lines[2:11]}) == 1, "columns stand under their heads"
    assert lines[-1].startswith("accuracy ▁")


def test_the_first_frame_of_a_run_has_no_table_and_no_pace():
    said = words(frame.markup(RunView("new", "main", 1, Status.RUNNING, rounds=10, invited=3)))
    assert "round 0 /10" in said
    assert "3 training" in said
    assert "left" not in said
    assert "<table" not in frame.markup(replace(VIEW, rows=(), curve=()))


def test_a_paused_run_says_why_and_shows_no_clients():
    view = replace(VIEW, status=Status.PAUSED, error="needs 8, 5 were usable\n→ lower plan.need")
    assert "◐ paused" in words(frame.markup(view))
    assert "→ lower plan.need" in words(frame.markup(view))
    assert "training" not in words(frame.markup(view))
    assert "left" not in frame.text(view)


def test_names_and_errors_of_users_are_text():
    view = replace(VIEW, name="<img src=x onerror=1>", error="<script>x</script>", headline="<b>")
    markup = frame.markup(view)
    assert "<img" not in markup
    assert "<script" not in markup
    assert "<b>" not in markup.replace("<b>42</b>", "").replace("<b>0.840</b>", "")


def test_a_measure_that_is_missing_or_not_finite_is_a_dash():
    odd = RoundRow(43, {"accuracy": float("nan")}, 10, 12, 0, 1.0)
    line = frame.text(replace(VIEW, rows=(odd, *ROWS))).splitlines()[3]
    assert line.split()[:3] == ["43", "–", "–"]


def test_one_frame_is_displayed_and_then_replaced(published):
    display = frame.NotebookFrame()
    display.show(VIEW)
    display.show(replace(VIEW, round=43))
    display.show(replace(VIEW, status=Status.FINISHED), final=True)
    assert [replaces for _, replaces in published] == [False, True, True]
    assert "✓ finished" in words(published[-1][0]["text/html"])
    assert "✓ finished" in published[-1][0]["text/plain"]
