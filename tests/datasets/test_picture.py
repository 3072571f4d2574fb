"""The picture of a split: true, legible on light and dark, small, and readable as text."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from flnb.datasets import IID, Dirichlet, PowerLawSizes, Shards, Split
from flnb.datasets.picture_svg import HUE, level_of, opacity

TEN = np.arange(60_000) % 10
SVG = "{http://www.w3.org/2000/svg}"


def drawn(split):
    return ElementTree.fromstring(split.plot().svg())


def words(split):
    return [text.text for text in drawn(split).iter(f"{SVG}text")]


def test_the_title_is_a_sentence_with_least_median_and_greatest():
    split = Split.of({"a": [0], "b": [1, 2], "c": [3, 4, 5, 6]}, y=[0, 1] * 4)
    assert words(split)[0] == "3 clients share 7 examples: 1 to 4, median 2"
    assert Split.of({"a": [0, 1]}).plot().title == "1 client holds 2 examples"
    assert IID(clients=2).split(TEN).plot().title == "2 clients share 60,000 examples: 30,000 each"


def test_axes_legend_and_sizes_are_labelled():
    said = words(Dirichlet(clients=20, alpha=0.3).split(TEN))
    assert {"client", "label", "examples", "c000", "c019", "0", "9"} <= set(said)
    assert "examples of a label; blank is none" in said


def test_there_is_one_cell_for_each_label_that_a_client_holds():
    split = Shards(clients=50).split(TEN)
    paths = [path for path in drawn(split).iter(f"{SVG}path") if path.get("fill") == HUE]
    cells = sum(path.get("d").count("M") for path in paths)
    assert cells == np.count_nonzero(split.label_counts)


def luminance(colour):
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in colour
    ]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


@pytest.mark.parametrize("ground", [1.0, 0.07])
def test_more_examples_stand_out_more_on_light_and_on_dark(ground):
    hue = np.array([int(HUE[at : at + 2], 16) / 255 for at in (1, 3, 5)])
    levels = sorted({level_of(count, 1000) for count in range(1001)})
    assert levels == list(range(17))
    seen = [luminance(opacity(level) * hue + (1 - opacity(level)) * ground) for level in levels]
    contrasts = [(max(seen[0], one) + 0.05) / (min(seen[0], one) + 0.05) for one in seen]
    assert all(np.diff(contrasts) > 0)
    assert contrasts[1] > 1.1
    assert contrasts[-1] > 3


def test_text_takes_the_colour_of_the_page():
    root = drawn(IID(clients=3).split(TEN))
    assert root.get("fill") == "currentColor"
    assert {text.get("fill") for text in root.iter(f"{SVG}text")} == {None}
    fixed = {shape.get("fill") for shape in root.iter() if "#" in (shape.get("fill") or "")}
    assert fixed == {HUE}


def test_clients_without_data_are_marked():
    said = words(IID(clients=5).split([0, 1]))
    assert said.count("no data") == 3
    assert "3 without data" in said[1]


def test_a_thousand_clients_are_put_together_by_label_and_stay_small():
    split = PowerLawSizes(clients=1000, labels=2).split(TEN)
    svg = split.plot().svg()
    assert "a row is the mean of 5 clients, ordered by commonest label" in svg
    assert len(list(drawn(split).iter(f"{SVG}title"))) == 200
    assert len(svg) < 100_000
    assert float(re.search(r'height="(\d+)"', svg)[1]) < 800


def test_clients_with_the_same_commonest_label_share_rows_the_largest_first():
    parts = {f"c{at:03}": range(3 * at, 3 * at + 1 + at % 3) for at in range(400)}
    split = Split.of(parts, y=np.repeat(np.arange(400) % 2, 3))
    tips = [title.text for title in drawn(split).iter(f"{SVG}title")]
    assert len(tips) == 200
    assert all("0:" in tip and "1:" not in tip for tip in tips[:100])
    assert all("1:" in tip and "0:" not in tip for tip in tips[100:])
    assert (" · 3 mean" in tips[0], " · 1 mean" in tips[99]) == (True, True)


def test_targets_that_are_values_are_drawn_as_sizes_alone():
    split = IID(clients=3).split(np.linspace(0, 1, 10))
    assert "label" not in words(split)
    assert {"4", "3"} <= set(words(split))
    assert "c000 │████████████████████│ 4" in split.plot().text()


def test_the_text_fits_a_terminal_and_shows_who_holds_what():
    split = Split.of({"anna": [0, 2, 4], "bert": [1]}, y=[0, 1, 0, 1, 0, 1])
    lines = repr(split.plot()).splitlines()
    assert lines[2:] == ["anna │█ │ 3", "bert │ ▓│ 1", "      labels 0 … 1, █ is 3"]
    many = PowerLawSizes(clients=1000, labels=2).split(TEN).plot().text().splitlines()
    assert len(many) <= 24
    assert max(map(len, many)) <= 110


def test_names_from_the_data_cannot_break_the_picture():
    split = Split.of({"<script>&\"'": [0, 1]}, y=["<b>", "&"])
    assert "<script>" not in split.plot().svg()
    assert "<script>&\"'" in words(split)


def test_a_notebook_gets_inline_svg_and_text():
    split = IID(clients=3).split(TEN)
    bundle = split._repr_mimebundle_()
    assert bundle["text/html"].startswith("<svg ")
    assert bundle["text/plain"] == split.plot().text()


def test_a_split_of_nobody_can_still_be_looked_at():
    assert "No clients" in Split.of({}).plot().svg()
    assert Split.of({}, y=[0, 1]).plot().text().startswith("No clients")


def test_a_picture_is_saved_as_svg_and_as_nothing_else(tmp_path):
    picture = IID(clients=3).split(TEN).plot()
    path = picture.save(tmp_path / "split.svg")
    assert ElementTree.parse(path).getroot().tag == f"{SVG}svg"
    with pytest.raises(ValueError, match=r"saved as \.svg"):
        picture.save(tmp_path / "split.png")
