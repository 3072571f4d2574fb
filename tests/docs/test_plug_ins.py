"""The plug-ins of `docs/plug-ins.md` work as they stand there."""

import re
from pathlib import Path

import numpy as np
import pytest

from flnb.core import Plan, strategy_registry
from flnb.datasets import partitioner_registry, read_partitioner
from flnb.testing import StrategySuite

PAGE = Path(__file__).parents[2] / "docs" / "plug-ins.md"


@pytest.fixture(scope="module")
def written():
    """What the page defines; its names are forgotten afterwards."""
    names = {"__name__": "plug_ins_of_the_page"}
    for block in re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL):
        exec(block, names)  # our own page
    yield names
    strategy_registry._entries.pop("cautious")
    partitioner_registry._entries.pop("in_turns")


class TestTheStrategyOfThePage(StrategySuite):
    @pytest.fixture
    def config(self, written):
        return written["Cautious"](share=0.3)


def test_a_run_file_may_name_the_strategy_of_the_page(written):
    plan = Plan.from_yaml("strategy: {kind: cautious, share: 0.3}")
    assert isinstance(plan.strategy, written["Cautious"])
    assert "TestCautious" in written  # the suite is inherited as it is here


def test_the_split_of_the_page_deals_like_cards(written):
    split = read_partitioner({"kind": "in_turns", "clients": 3}).split(np.zeros(7))
    assert split.indices("c001").tolist() == [1, 4]
    assert split.indices("c000").tolist() == [0, 3, 6]
