"""Conditions: what they say, what they refuse, and that they agree with NumPy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flnb.core.errors import NotFoundError, PlanError
from flnb.core.expressions import MAX_CHARACTERS, Expression

SERIES = {"loss": [1.0, 4.0, 2.0], "training.loss": [0.5], "accuracy": [0.9]}
floats = st.floats(width=64)
measured = st.lists(floats, min_size=1, max_size=12)


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("loss > 1", True),
        ("central.loss <= 2", True),
        ("training.loss < 0.5", False),
        ("loss >= 3 * median(loss, 10)", False),
        ("last(loss, 1) > 1.5 * loss and not accuracy < .5", True),
        ("max(loss, 2) - min(loss, 2) > 1 or mean(loss, 3) > 100", True),
        ("0 < accuracy < 0.5", False),
        ("abs(-loss) ** 2 / 4 >= +1", True),
        ("finite(loss)", True),
    ],
)
def test_conditions_mean_what_they_say(text, holds):
    assert Expression.parse(text).look(SERIES).holds is holds


def test_an_answer_shows_the_numbers_that_led_to_it():
    finding = Expression.parse("loss > 3 * median(loss, 10) or central.loss > 9").look(SERIES)
    assert str(finding) == "loss = 2, median(loss, 10) = 2, central.loss = 2"


def test_what_was_not_measured_is_said_and_does_not_hold():
    assert Expression.parse("not f1 > 0").look(SERIES).missing == "f1 was not measured"
    finding = Expression.parse("loss > last(loss, 3)").look(SERIES)
    assert (finding.holds, finding.missing) == (False, "loss was measured 3 times, 4 are needed")


def test_not_a_number_is_seen_by_finite_alone():
    series = {"loss": [1.0, float("nan")]}
    looks = [Expression.parse(text).look(series).holds for text in ("loss > 0", "not loss > 0")]
    assert looks == [False, True]
    assert Expression.parse("not finite(loss)").look(series).holds


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("loss", "a comparison is wanted"),
        ("loss == 1", "column 9: '1': compare with <"),
        (
            "loss > lost(loss, 3)",
            "column 8: 'lost.loss, 3.': no such function; did you mean 'last'",
        ),
        ("loss > min(loss)", "written min.metric, rounds."),
        ("loss > min(loss, 0)", "looks back 1 to 1,000"),
        ("loss > min(loss, n=2)", "written min"),
        ("los.s > 1", "one of central, federated, training"),
        ("loss > 'a'", "a number is wanted"),
        ("loss > True", "a number is wanted"),
        ("loss > (accuracy > 1)", "a number or a metric"),
        ("loss > 1e999", "too large"),
        ("1 > 0", "names no metric"),
        ("loss > (", "never closed at column 8"),
        ("__import__('os').system('true') > 0", "no such function"),
        ("[loss for loss in (1,)] > 0", "a number or a metric"),
        ("loss > " + "9" * MAX_CHARACTERS, "at most 200 characters"),
    ],
)
def test_whatever_is_no_condition_is_refused_with_its_place(text, said):
    with pytest.raises(PlanError, match=said):
        Expression.parse(text)


def test_an_unknown_metric_offers_the_nearest():
    with pytest.raises(NotFoundError, match="no metric 'acuracy'\n→ did you mean 'accuracy'"):
        Expression.parse("acuracy > 0.5").check_names(["accuracy", "loss"])


signs = st.sampled_from([*"().,+-*/<>:[]'\0é", "**", ">=", "=="])
names = st.sampled_from(["loss", "accuracy", "training", "1", "10", "1e308", "2.5"])
verbs = st.sampled_from(["median", "last", "finite", "abs", "and", "or", "not", "lambda", "if"])
words = st.one_of(signs, names, verbs)


@given(st.one_of(st.text(max_size=40), st.lists(words, max_size=16).map(" ".join)), measured)
def test_no_text_raises_anything_but_the_typed_error(text, values):
    try:
        expression = Expression.parse(text)
    except PlanError:
        return
    expression.look({"loss": values, "accuracy": values[::-1]})


@given(measured, st.integers(1, 12), st.sampled_from(["median", "mean", "min", "max"]), floats)
def test_functions_agree_with_numpy(values, n, function, factor):
    with np.errstate(all="ignore"):
        window = np.float64(getattr(np, function)(values[-n:]))
        expected = bool(values[-1] * np.float64(factor) > window / np.float64(factor))
    text = f"loss * {factor!r} > {function}(loss, {n}) / {factor!r}"
    if np.isfinite(factor) and abs(factor) <= 1e300:
        assert Expression.parse(text).look({"loss": values}).holds is expected


@given(st.integers(-5, 5), st.integers(-5, 5), st.sampled_from(["+", "-", "*", "/", "**"]))
def test_arithmetic_agrees_with_numpy(a, b, sign):
    with np.errstate(all="ignore"):
        names = {"a": np.float64(a), "b": np.float64(b)}
        expected = bool(eval(f"a {sign} b >= b", {}, names))  # the oracle
    series = {"a": [float(a)], "b": [float(b)]}
    assert Expression.parse(f"a {sign} b >= b").look(series).holds is expected
