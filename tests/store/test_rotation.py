"""A client's key is changed in one transaction, by the key before, and for ever on record."""

from dataclasses import replace

import pytest

from flnb.core.errors import AccessRefusedError
from flnb.store import StateStore
from tests.store.test_registry import KEY, OTHER_KEY, after, invite

THIRD_KEY = b"\x03" * 32


@pytest.fixture
def joined(tmp_path):
    state = StateStore(tmp_path / "state.db")
    state.add_invite(invite())
    state.join("first", KEY, after(1))
    yield state
    state.close()


def test_the_new_key_takes_the_place_and_nothing_else_changes(joined):
    joined.seen("hospital-a", after(2), 12, {"task": "heart"})
    before = joined.client("hospital-a")
    found = joined.rotate("hospital-a", KEY, OTHER_KEY, after(3))
    assert found == replace(before, public_key=OTHER_KEY, rotated_at=after(3))
    assert (before.key_since, found.key_since) == (after(1), after(3))


def test_whoever_asks_again_hears_the_same_and_it_is_noted_once(joined):
    first = joined.rotate("hospital-a", KEY, OTHER_KEY, after(3))
    assert joined.rotate("hospital-a", OTHER_KEY, OTHER_KEY, after(4)) == first
    assert joined.rotate("hospital-a", KEY, OTHER_KEY, after(5)) == first
    (noted,) = joined.operations()
    assert (noted.actor, noted.verb, noted.at) == ("hospital-a", "rotate-key", after(3))
    assert noted.details["from"] == KEY.hex()[:12]


def test_the_key_before_changes_nothing_any_more(joined):
    joined.rotate("hospital-a", KEY, OTHER_KEY, after(3))
    with pytest.raises(AccessRefusedError):
        joined.rotate("hospital-a", KEY, THIRD_KEY, after(4))
    assert joined.client("hospital-a").public_key == OTHER_KEY


def test_whoever_was_revoked_gets_no_other_key(joined):
    joined.revoke_client("hospital-a", "left", after(2))
    with pytest.raises(AccessRefusedError):
        joined.rotate("hospital-a", KEY, OTHER_KEY, after(3))
    assert joined.client("hospital-a").public_key == KEY
    assert joined.operations() == []


def test_who_joins_anew_has_not_changed_its_key_since(joined):
    joined.rotate("hospital-a", KEY, OTHER_KEY, after(3))
    joined.add_invite(invite(token="second", made=4))
    assert joined.join("second", THIRD_KEY, after(5)).key_since == after(5)
