"""Long lists, a page at a time."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flnb.dashboards.components.listing import PAGE, part_of

EVERYBODY = pd.DataFrame(
    {"client": [f"c{index:03d}" for index in range(60)], "loss": np.linspace(2, 1, 60)}
)


def shown(**asked):
    defaults = {"find": "", "within": "client", "sort": "client", "page": 1}
    return part_of(EVERYBODY, **(defaults | asked))


@given(st.integers(1, 10))
def test_pages_together_hold_every_row_once(page):
    pages = shown().pages
    rows = [name for each in range(1, pages + 1) for name in shown(page=each).rows["client"]]
    assert rows == EVERYBODY["client"].to_list()
    assert shown(page=page).page == min(page, pages)


def test_a_page_says_where_one_is():
    assert shown(page=2).words == "26–50 of 60"
    assert shown(page=99).words == "51–60 of 60"
    assert shown(find="nobody").words == "none"
    assert len(shown().rows) == PAGE


@pytest.mark.parametrize("find", ["C01", "1 c0", "01 C"])
def test_every_word_must_be_in_a_row_in_any_case(find):
    assert all("01" in name or "1" in name for name in shown(find=find).rows["client"])
    assert shown(find="c01").total == 10


def test_words_are_no_patterns():
    assert shown(find=".*").total == 0


def test_a_minus_puts_the_largest_first_and_rows_without_a_value_last():
    frame = EVERYBODY.assign(loss=[None, *EVERYBODY["loss"][1:]])
    rows = part_of(frame, find="", within="client", sort="-loss", page=1).rows
    assert rows["client"].iloc[0] == "c001"
    last = part_of(frame, find="", within="client", sort="loss", page=3).rows
    assert last["client"].iloc[-1] == "c000"
