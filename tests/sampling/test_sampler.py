"""Cohorts: the right size, the right frequencies, and each round on its own."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flnb.core import ClientId, Plan
from flnb.core.errors import PlanError
from flnb.sampling import Everybody, FixedSize, Poisson, sampler_for

PEOPLE = [ClientId(f"c{number:03}") for number in range(100)]
ROUNDS = 2000
# Bounds below are about five standard errors wide; the seed is fixed, so they hold for ever.


def draws(sampler, rounds=ROUNDS, seed=1):
    return [sampler.draw(PEOPLE, seed=seed, round=number, attempt=0) for number in range(rounds)]


def membership(cohorts):
    position = {name: index for index, name in enumerate(PEOPLE)}
    table = np.zeros((len(cohorts), len(PEOPLE)))
    for row, cohort in zip(table, cohorts, strict=True):
        row[[position[name] for name in cohort]] = 1
    return table


@pytest.mark.parametrize("sampler", [FixedSize(10), Poisson(10)])
def test_everybody_is_drawn_equally_often(sampler):
    times = membership(draws(sampler)).sum(axis=0)
    # Binomial(2000, 0.1): mean 200, deviation 13.4.
    assert np.abs(times - 200).max() < 5 * 13.4
    assert 0.6 < times.var() / 13.4**2 < 1.5


@pytest.mark.parametrize("sampler", [FixedSize(10), Poisson(10)])
def test_rounds_do_not_depend_on_each_other(sampler):
    cohorts = draws(sampler)
    overlaps = [len(set(before) & set(after)) for before, after in pairwise(cohorts)]
    # Two independent tenths share 1 of 100 on average, deviation below 1 over 2,000 pairs.
    assert abs(np.mean(overlaps) - 1.0) < 5 / np.sqrt(ROUNDS)


def test_poisson_decides_for_each_client_on_its_own():
    table = membership(draws(Poisson(10)))
    sizes = table.sum(axis=1)
    # Binomial(100, 0.1): mean 10, variance 9.
    assert abs(sizes.mean() - 10) < 5 * 3 / np.sqrt(ROUNDS)
    assert abs(sizes.var() - 9) < 5 * 9 * np.sqrt(2 / ROUNDS)
    together = (table[:, 0] * table[:, 1]).mean()
    assert abs(together - 0.01) < 5 * np.sqrt(0.01 / ROUNDS)


def test_poisson_may_invite_nobody():
    assert () in draws(Poisson(1), rounds=50)


@given(
    n=st.integers(1, 30),
    extra=st.integers(0, 30),
    seed=st.integers(-(2**63), 2**63 - 1),
    shuffle=st.randoms(use_true_random=False),
)
def test_a_fixed_cohort_is_n_different_clients_in_order_whoever_comes_first(
    n, extra, seed, shuffle
):
    people = PEOPLE[: n + extra]
    cohort = FixedSize(n).draw(people, seed=seed, round=3, attempt=1)
    assert len(set(cohort)) == n
    assert list(cohort) == sorted(cohort)
    assert set(cohort) <= set(people)
    other_order = shuffle.sample(people, len(people))
    assert FixedSize(n).draw(other_order, seed=seed, round=3, attempt=1) == cohort


@pytest.mark.parametrize("sampler", [FixedSize(10), Poisson(10)])
def test_seed_round_and_attempt_each_change_the_cohort(sampler):
    def cohort(**changed):
        return sampler.draw(PEOPLE, **{"seed": 1, "round": 2, "attempt": 0, **changed})

    assert cohort() == cohort()
    assert len({cohort(), cohort(seed=2), cohort(round=3), cohort(attempt=1)}) == 4


@pytest.mark.parametrize("sampler", [FixedSize(101), Poisson(101)])
def test_too_small_a_population_is_refused_with_both_numbers(sampler):
    with pytest.raises(PlanError, match=r"101 clients a round, there are 100\n→ set invite to 100"):
        sampler.draw(PEOPLE, seed=0, round=1, attempt=0)


@pytest.mark.parametrize("make", [lambda: FixedSize(0), lambda: Poisson(0), lambda: Poisson(-1)])
def test_a_cohort_of_nobody_cannot_be_asked_for(make):
    with pytest.raises(PlanError, match="a cohort needs"):
        make()


def test_everybody_means_everybody_in_order():
    assert Everybody().draw(PEOPLE[::-1], seed=0, round=1, attempt=0) == tuple(PEOPLE)
    assert Everybody().draw([], seed=0, round=1, attempt=0) == ()


@pytest.mark.parametrize(
    ("plan", "sampler"),
    [
        (Plan(invite=7), FixedSize(7)),
        (Plan(invite=7, sampling="poisson"), Poisson(7)),
        (Plan(sampling="all"), Everybody()),
    ],
)
def test_a_plan_names_its_sampler(plan, sampler):
    assert sampler_for(plan) == sampler
