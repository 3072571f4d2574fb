"""The graph of a run, as text and as a drawing."""

import re
from html import unescape

from flnb.coordinator.history.graph import Lane, as_svg, as_text

_LETTER_PX = 7.64
"""Width of a digit of DejaVu Sans, a wide one, at the drawing's 12 px."""
TRUNK = Lane(
    branch="main",
    generation=1,
    base=None,
    after=0,
    last=4,
    commits=(2, 4),
    labels={},
    current=False,
)
AGAIN = Lane(
    branch="main",
    generation=2,
    base=("main", 1),
    after=2,
    last=2,
    commits=(),
    labels={},
    current=True,
)
FORK = Lane(
    branch="<lr>",
    generation=1,
    base=("main", 1),
    after=2,
    last=6,
    commits=(4,),
    labels={4: "@good"},
    current=True,
)


def test_what_stands_on_a_lane_is_indented_below_it():
    lines = [" ".join(line.split()) for line in as_text("otter", [TRUNK, FORK, AGAIN]).splitlines()]
    assert lines == [
        "otter",
        "main gen 1 1–4 2 commits",
        "└ <lr> gen 1 3–6 1 commit @head (6), @good (4)",
        "└ main gen 2 none of its own, from 2 on 0 commits @head (2)",
    ]


def test_a_roll_back_is_dashed_and_a_fork_is_not():
    drawing = as_svg("otter", [TRUNK, AGAIN])
    assert "stroke-dasharray" in drawing
    assert "stroke-dasharray" not in as_svg("otter", [TRUNK, FORK])
    assert "&lt;lr&gt;" in as_svg("otter", [TRUNK, FORK])
    assert "<lr>" not in as_svg("otter", [TRUNK, FORK])


def test_no_line_of_the_drawing_crosses_words():
    long = Lane(**{name: getattr(FORK, name) for name in FORK.__slots__} | {"branch": "b" * 40})
    drawing = as_svg("otter", [TRUNK, AGAIN, long])
    across = [
        float(x)
        for start, end in re.findall(r'd="M([\d.]+) \d+ (?:H([\d.]+)|V\d+)"', drawing)
        for x in (start, end or start)
    ]
    words = re.findall(r'<text x="(\d+)" y="\d+">([^<]*)<', drawing)
    names = [len(text) * _LETTER_PX for x, text in words if x == "0"]
    remarks = [float(x) for x, _ in words if x != "0"]
    assert max(names) <= min(across)
    assert max(across) < min(remarks)


def test_what_stands_on_the_right_is_not_cut_off():
    many = dict.fromkeys(range(1, 5), f"@{'9' * 12}")
    named = Lane(**{name: getattr(TRUNK, name) for name in TRUNK.__slots__} | {"labels": many})
    drawing = as_svg("otter", [named, FORK])
    width = int(re.search(r'viewBox="0 0 (\d+) ', drawing)[1])
    words = re.findall(r'<text x="(\d+)" y="\d+">([^<]*)<', drawing)
    assert max(int(x) + len(unescape(text)) * _LETTER_PX for x, text in words) <= width
