"""Settings that people write: frozen, and helpful about mistakes."""

import pytest
from pydantic import PositiveInt, ValidationError, model_validator

from flnb.core import Frozen
from flnb.core.errors import PlanError


class Inner(Frozen):
    depth: PositiveInt = 1
    width: PositiveInt | str = 3


class Outer(Frozen):
    inner: Inner = Inner()
    sizes: tuple[PositiveInt, ...] = ()
    limit: int = 10
    half: int | None = None

    @model_validator(mode="after")
    def _check(self):
        if self.limit == 13:
            raise ValueError("limit=13 brings bad luck")
        return self


def test_an_unknown_key_names_its_nearest_neighbour():
    with pytest.raises(PlanError, match=r"Outer has no setting 'limt'; did you mean 'limit'\?"):
        Outer(limt=3)


def test_an_unknown_key_inside_another_setting_names_its_owner():
    with pytest.raises(PlanError, match=r"Inner has no setting 'dept'; did you mean 'depth'\?"):
        Outer(inner={"dept": 3})


def test_a_bad_value_says_where_what_and_which():
    with pytest.raises(PlanError) as caught:
        Inner(depth=-1)
    assert str(caught.value) == "Inner.depth: input should be greater than 0, got -1"


def test_every_bad_value_is_said_at_once():
    with pytest.raises(PlanError, match=r"Outer\.sizes\.1: .*got -2; Outer\.limit: .*got 'x'"):
        Outer(sizes=(1, -2), limit="x")


def test_alternatives_of_one_setting_make_one_sentence():
    with pytest.raises(PlanError) as caught:
        Inner(width=None)
    assert str(caught.value).count("Inner.width") == 1
    assert " or input should be a valid string, got None" in str(caught.value)


def test_a_rule_of_our_own_speaks_for_itself():
    with pytest.raises(PlanError) as caught:
        Outer(limit=13)
    assert str(caught.value) == "limit=13 brings bad luck"


def test_settings_do_not_change():
    with pytest.raises(ValidationError, match="frozen"):
        Outer().limit = 3


def test_replace_makes_a_checked_copy():
    outer = Outer(limit=3)
    assert outer.replace(half=2) == Outer(limit=3, half=2)
    assert outer.half is None
    with pytest.raises(PlanError, match="did you mean 'limit'"):
        outer.replace(limits=3)


def test_infinity_is_no_setting():
    class Pace(Frozen):
        limit_s: float | None = None

    for value in (float("inf"), float("nan")):
        with pytest.raises(PlanError, match="finite"):
            Pace(limit_s=value)
