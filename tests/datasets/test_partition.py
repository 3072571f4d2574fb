"""Partitioners: what each promises, checked by property and on the papers' settings."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from flnb.core import Frozen
from flnb.core.errors import DataError, NotFoundError, PlanError
from flnb.datasets import (
    IID,
    Dirichlet,
    LabelQuantity,
    LogNormalSizes,
    NaturalId,
    PartitionerField,
    PowerLawSizes,
    Shards,
    partitioner_registry,
    read_partitioner,
    write_partitioner,
)

TEN = np.arange(60_000) % 10

clients = st.integers(1, 12)
seeds = st.integers(-(2**63), 2**63 - 1)
partitioners = st.one_of(
    st.builds(IID, clients=clients, seed=seeds),
    st.builds(
        Dirichlet,
        clients=clients,
        seed=seeds,
        alpha=st.floats(0.05, 50),
        min_examples=st.just(0),
    ),
    st.builds(Shards, clients=clients, seed=seeds, per_client=st.integers(1, 3)),
    st.builds(LogNormalSizes, clients=clients, seed=seeds, sigma=st.floats(0, 3)),
    st.builds(PowerLawSizes, clients=clients, seed=seeds, min_examples=st.integers(0, 4)),
    st.builds(NaturalId),
)


@given(partitioner=partitioners, y=st.lists(st.integers(0, 3), min_size=60, max_size=300))
def test_every_example_goes_to_exactly_one_client_and_the_same_one_again(partitioner, y):
    ids = [f"person {value}" for value in y]
    split = partitioner.split(y, ids)
    assert np.sort(split.order).tolist() == list(range(len(y)))
    assert split.label_counts.sum() == len(y)
    assert partitioner.split(y, ids) == split


@given(clients=clients, labels=st.integers(1, 4), seed=seeds)
def test_with_enough_clients_label_quantity_uses_everything(clients, labels, seed):
    y = np.arange(200) % 4
    split = LabelQuantity(clients=clients, labels=labels, seed=seed).split(y)
    assert (np.count_nonzero(split.label_counts, axis=1) == labels).all()
    if clients >= 4:
        assert len(split.order) == 200


@pytest.mark.parametrize(
    "partitioner",
    [
        IID(clients=20),
        Dirichlet(clients=20, alpha=1.0),
        Shards(clients=20),
        LabelQuantity(clients=20, labels=3),
        LogNormalSizes(clients=20),
        PowerLawSizes(clients=20),
    ],
)
def test_another_seed_is_another_split(partitioner):
    assert partitioner.split(TEN) != partitioner.replace(seed=1).split(TEN)


def test_iid_parts_are_equal_and_alike():
    split = IID(clients=7).split(TEN[:1000])
    assert set(split.sizes.tolist()) == {142, 143}
    # Hypergeometric, about 14 of each label with deviation 3.3 at each client.
    assert np.abs(split.label_counts - 14.3).max() < 5 * 3.3


def test_a_small_alpha_is_skewed_and_a_large_one_is_not():
    def purity(alpha):
        counts = Dirichlet(clients=50, alpha=alpha).split(TEN).label_counts
        return float((counts.max(axis=1) / counts.sum(axis=1)).mean())

    assert purity(0.1) > 0.5
    assert 0.2 < purity(1.0) < 0.4
    assert purity(1000.0) < 0.13


def test_dirichlet_shares_have_the_moments_of_their_distribution():
    counts = Dirichlet(clients=50, alpha=0.5, min_examples=0).split(TEN).label_counts
    shares = counts / counts.sum(axis=0)
    # Each share is Beta(0.5, 24.5): mean 1/50, deviation 0.0275; 500 shares, five errors.
    assert shares.mean() == pytest.approx(0.02)
    assert 0.0275 * 0.7 < shares.std() < 0.0275 * 1.3


def test_dirichlet_draws_again_until_everybody_has_enough():
    careless = Dirichlet(clients=30, alpha=0.2, min_examples=0, seed=3).split(TEN[:3000])
    careful = Dirichlet(clients=30, alpha=0.2, min_examples=15, seed=3).split(TEN[:3000])
    assert careless.sizes.min() < 15 <= careful.sizes.min()


def test_dirichlet_gives_up_with_numbers_instead_of_drawing_for_ever():
    with pytest.raises(
        DataError, match=r"in 500 draws.*never had 10 examples, at most \d"
    ) as caught:
        Dirichlet(clients=100, alpha=0.01, min_examples=10).split(TEN[:2000])
    assert "min_examples=0" in caught.value.hint
    with pytest.raises(DataError, match="need 1,000, there are 100"):
        Dirichlet(clients=100, alpha=1.0, min_examples=10).split(TEN[:100])


def test_two_shards_of_sorted_mnist_are_those_of_the_paper():
    split = Shards(clients=100).split(TEN)
    assert (split.sizes == 600).all()
    held = np.count_nonzero(split.label_counts, axis=1)
    assert held.max() <= 2
    # 200 shards of 300: a client has twice the same digit with probability 19/199.
    assert np.count_nonzero(held == 1) == pytest.approx(9.5, abs=9)


def test_shards_of_numbers_are_ranges():
    y = np.linspace(0, 1, 100)[::-1]
    split = Shards(clients=4, per_client=1).split(y)
    spans = sorted((y[split.indices(name)].min(), y[split.indices(name)].max()) for name in split)
    assert all(before[1] < after[0] for before, after in pairwise(spans))


def test_owners_of_a_label_share_it_equally():
    split = LabelQuantity(clients=30, labels=2).split(TEN)
    for column in split.label_counts.T:
        owned = column[column > 0]
        assert owned.max() - owned.min() <= 1


def test_log_normal_sizes_spread_with_sigma_but_contents_do_not():
    def deviation(sigma):
        sizes = LogNormalSizes(clients=500, sigma=sigma, min_examples=0).split(TEN).sizes
        return float(np.log(np.maximum(1, sizes)).std())

    assert deviation(0.0) == pytest.approx(0.0, abs=1e-9)
    assert deviation(0.5) == pytest.approx(0.5, abs=0.1)
    assert deviation(1.0) == pytest.approx(1.0, abs=0.15)
    counts = LogNormalSizes(clients=10).split(TEN).label_counts
    shares = counts / counts.sum(axis=1, keepdims=True)
    assert np.abs(shares - 0.1).max() < 0.05


def test_power_law_with_two_labels_is_the_setting_of_fedprox():
    split = PowerLawSizes(clients=1000, labels=2).split(TEN)
    assert (np.count_nonzero(split.label_counts, axis=1) == 2).all()
    assert np.flatnonzero(split.label_counts[13]).tolist() == [3, 4]
    assert len(split.order) == 60_000
    assert split.sizes.min() >= 10
    # A heavy tail: the mean is twice the median, the largest twenty times the mean.
    assert 25 <= np.median(split.sizes) <= 40
    assert split.sizes.max() > 1000


def test_power_law_tails_follow_the_exponent():
    sizes = PowerLawSizes(clients=2000, exponent=3.0, min_examples=0).split(np.zeros(10**6)).sizes
    # Hill's estimator over all shares: 1 + 1 / mean(log(share / least)).
    estimate = 1 + 1 / np.log(sizes / sizes.min()).mean()
    assert estimate == pytest.approx(3.0, abs=0.25)


@pytest.mark.parametrize("labels", [None, 2])
def test_a_power_law_near_exponent_one_gives_nearly_all_to_one_and_loses_nothing(labels):
    y = np.repeat(np.arange(5), 40)
    sizes = PowerLawSizes(clients=10, exponent=1.0001, labels=labels).split(y).sizes
    assert sizes.sum() == 200
    assert sizes.min() == 10


def test_natural_clients_are_named_by_their_ids_in_order():
    split = NaturalId().split([0, 1, 0, 1], ids=[10, 9, 10, 2])
    assert split.clients == ("2", "9", "10")
    assert split.indices("10").tolist() == [0, 2]


@pytest.mark.parametrize(
    ("split", "complaint"),
    [
        (lambda: Dirichlet(clients=2, alpha=1.0).split([0.5, 1.5]), "splits by class"),
        (lambda: Shards(clients=3).split([0, 1, 2]), "need 6 examples"),
        (lambda: LabelQuantity(clients=2, labels=3).split([0, 1]), "hold 3 labels, there are 2"),
        (lambda: LogNormalSizes(clients=5).split([0, 1]), "promises 5 examples"),
        (lambda: PowerLawSizes(clients=5, labels=2).split([0, 1] * 9), "promises 25 examples"),
        (lambda: PowerLawSizes(clients=5, labels=4).split([0, 1]), "hold 4 labels, there are 2"),
        (lambda: NaturalId().split([0, 1]), "needs ids"),
        (lambda: NaturalId().split([0, 1], ids=["a"]), "ids have shape"),
        (lambda: NaturalId().split([0, 1], ids=["a", None]), "cannot be put in order"),
        (lambda: IID(clients=2).split([]), "nothing to split"),
    ],
)
def test_data_that_cannot_be_split_like_this_is_refused_with_numbers(split, complaint):
    with pytest.raises(DataError, match=complaint):
        split()


def test_more_clients_than_examples_leaves_visible_empty_clients():
    split = IID(clients=5).split([0, 1])
    assert sorted(split.sizes) == [0, 0, 0, 1, 1]
    assert "3 without data" in split.describe()


@given(partitioners)
def test_partitioners_round_trip_through_yaml(partitioner):
    text = yaml.safe_dump(write_partitioner(partitioner))
    again = read_partitioner(yaml.safe_load(text))
    assert again == partitioner
    assert type(again) is type(partitioner)


def test_a_run_file_can_hold_a_partitioner():
    class RunFile(Frozen):
        split: PartitionerField

    file = RunFile(split={"kind": "dirichlet", "alpha": 0.3, "clients": 20})
    assert file.split == Dirichlet(alpha=0.3, clients=20)
    assert RunFile(**file.model_dump(mode="json")) == file
    assert RunFile(split="natural_id").split == NaturalId()


def test_mistakes_in_a_run_file_are_named():
    with pytest.raises(NotFoundError, match="did you mean 'dirichlet'"):
        read_partitioner({"kind": "dirichlett", "alpha": 1})
    with pytest.raises(PlanError, match="did you mean 'alpha'"):
        read_partitioner({"kind": "dirichlet", "alfa": 1, "clients": 2})
    with pytest.raises(PlanError, match=r"IID\.clients: field required"):
        read_partitioner("iid")
    with pytest.raises(PlanError, match="a mapping with a kind, got 7"):
        read_partitioner(7)


def test_every_built_in_partitioner_is_registered():
    names = "dirichlet iid label_quantity log_normal_sizes natural_id power_law_sizes shards"
    assert partitioner_registry.names() == names.split()
    assert all(partitioner_registry.find(name).kind == name for name in names.split())


def test_a_split_of_today_is_the_split_of_tomorrow():
    # Published figures name their splits by seed: these hashes must never change.
    hashes = {
        type(partitioner).__name__: partitioner.split(TEN[:2000]).hash[:12]
        for partitioner in [IID(clients=9), Dirichlet(clients=9, alpha=0.3), Shards(clients=9)]
    }
    assert hashes == {
        "IID": "5edb7d09cae1",
        "Dirichlet": "0bec21edbdea",
        "Shards": "00b3670de531",
    }
