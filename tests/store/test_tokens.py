"""Which people may speak to a coordinator: their tokens by identity, until they expire or are revoked."""

from datetime import UTC, datetime, timedelta

import pytest

from flnb.core.errors import NotFoundError
from flnb.store import StateStore, TokenRecord


def record(clock, name="dr-lee", token_id="t1", days=7, role="viewer"):
    now = clock.now()
    return TokenRecord(token_id, name, role, now, now + timedelta(days=days))


class HandClock:
    """Goes when it is told to."""

    def __init__(self):
        self.at = datetime(2026, 1, 1, tzinfo=UTC)

    def now(self):
        return self.at

    def monotonic_s(self):
        return self.at.timestamp()


@pytest.fixture
def clock():
    return HandClock()


@pytest.fixture
def state(tmp_path, clock):
    store = StateStore(tmp_path / "state.db", clock=clock)
    yield store
    store.close()


def test_a_token_is_found_by_its_identity_and_nothing_else_is(state, clock):
    state.add_token(record(clock))
    assert state.find_token("t1") == record(clock)
    assert state.find_token("t2") is None


def test_all_tokens_of_a_person_are_revoked_together_and_once(state, clock):
    state.add_token(record(clock))
    state.add_token(record(clock, token_id="t2", role="admin"))
    state.add_token(record(clock, "dr-kim", "t3"))
    assert state.revoke_tokens("dr-lee") == 2
    assert state.revoke_tokens("dr-lee") == 0
    assert [one.id for one in state.tokens() if one.revoked_at is None] == ["t3"]


def test_who_has_no_token_cannot_lose_one(state, clock):
    state.add_token(record(clock))
    with pytest.raises(NotFoundError, match="dr-lea") as caught:
        state.revoke_tokens("dr-lea")
    assert "dr-lee" in caught.value.hint


def test_expired_tokens_of_a_person_are_forgotten_with_the_next_one(state, clock):
    state.add_token(record(clock, days=1))
    state.add_token(record(clock, "dr-kim", "t2", days=1))
    clock.at += timedelta(days=2)
    state.add_token(record(clock, token_id="t3"))
    assert {one.id for one in state.tokens()} == {"t2", "t3"}
