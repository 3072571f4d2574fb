"""Guards, as people write them."""

import pytest

from flnb.core import Guard, Plan
from flnb.core.errors import PlanError


def test_a_guard_is_written_like_a_sentence_and_shown_as_one():
    guard = Guard("loss > 3 * median(loss, 10)", then="rollback")
    assert guard == Guard(when="loss > 3 * median(loss, 10)", then="rollback")
    assert str(guard) == "loss > 3 * median(loss, 10) → rollback"
    for one in (guard, Guard("loss > 3", limit=1)):
        assert eval(repr(one), {"Guard": Guard}) == one  # what a repr promises


def test_guards_go_through_yaml_and_into_the_digest():
    plan = Plan(guards=[Guard("not finite(loss)"), Guard("accuracy < 0.1", then="warn")])
    assert Plan.from_yaml(plan.to_yaml()) == plan
    assert Plan.from_yaml("guards: [not finite(loss)]").guards == plan.guards[:1]
    assert plan.hash != Plan().hash


def test_what_cannot_be_a_guard_says_where_it_goes_wrong():
    with pytest.raises(PlanError, match=r"Guard\.when: not a condition: 'loss', column 1"):
        Guard("loss")
    with pytest.raises(PlanError, match="'rollback', 'pause' or 'warn', got 'rolback'"):
        Guard("loss > 1", then="rolback")
    with pytest.raises(PlanError, match=r"Plan\.guards\.1: not a condition: 'loss >'"):
        Plan(guards=["loss > 1", "loss >"])
