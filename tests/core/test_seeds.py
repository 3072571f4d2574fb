"""Randomness from names: the same everywhere, and never shared by accident."""

import jaxtyping
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flnb.core import SecretRoot, derive, generator

names = st.dictionaries(
    st.text("abcdefghij", min_size=1, max_size=6),
    st.one_of(st.integers(), st.text(max_size=8)),
    max_size=4,
)


def test_a_seed_is_the_same_on_every_machine_and_for_ever():
    assert derive(7, round=12, client="c17", purpose="batch-order") == 13243728499396811930
    assert derive(-1) == 10354152324271749382


@given(st.integers(-(2**63), 2**63 - 1), names)
def test_a_seed_does_not_depend_on_the_order_of_its_names(root, chosen):
    assert derive(root, **chosen) == derive(root, **dict(reversed(chosen.items())))


@given(names, names)
def test_other_names_give_another_seed(one, other):
    assert (derive(0, **one) == derive(0, **other)) == (one == other)


def test_a_number_and_its_text_name_different_things():
    assert derive(0, client=1) != derive(0, client="1")


def test_a_numpy_integer_names_the_same_as_a_python_one():
    assert derive(0, round=np.int64(3)) == derive(0, round=3)
    assert derive(0, client=np.str_("c1")) == derive(0, client="c1")


def test_a_float_is_no_name(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as users call it
    with pytest.raises(TypeError, match="float"):
        derive(0, round=3.5)


def test_a_generator_repeats_its_numbers():
    first, again = (generator(7, round=1, purpose="cohort").random(4) for _ in range(2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, generator(7, round=2, purpose="cohort").random(4))


def test_seeds_of_many_clients_do_not_meet():
    assert len({derive(0, client=f"c{index}") for index in range(10_000)}) == 10_000


def test_secret_seeds_depend_on_the_key():
    one, other = SecretRoot(b"a" * 32), SecretRoot(b"b" * 32)
    assert one.derive(round=1) == SecretRoot(b"a" * 32).derive(round=1)
    assert one.derive(round=1) != other.derive(round=1)


def test_a_short_key_is_refused():
    with pytest.raises(ValueError, match="at least 32 bytes, got 31"):
        SecretRoot(b"a" * 31)


def test_the_key_is_not_shown():
    assert "aaa" not in f"{SecretRoot(b'a' * 32)!r} {SecretRoot(b'a' * 32)}"


def test_keys_depend_on_the_names_and_have_nothing_of_the_seeds():
    root = SecretRoot(b"a" * 32)
    assert len({root.key(round=1), root.key(round=2), SecretRoot(b"b" * 32).key(round=1)}) == 3
    assert len(root.key(round=1)) == 32
    assert root.derive(round=1).to_bytes(8, "big") not in root.key(round=1)
