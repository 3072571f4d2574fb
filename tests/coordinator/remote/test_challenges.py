import sys

import pytest

from flnb.coordinator.remote.challenges import LIFETIME_S, Challenges
from flnb.core.errors import TokenExpiredError


class Clock:
    def __init__(self):
        self.time_s = 100.0

    def monotonic_s(self):
        return self.time_s


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def challenges(clock):
    return Challenges(clock)


def test_a_challenge_is_for_one_client_and_one_coordinator(challenges, clock):
    nonce = challenges.give("anna")
    challenges.check("anna", nonce)
    for other, name in ((challenges, "ben"), (Challenges(clock), "anna")):
        with pytest.raises(TokenExpiredError, match="not given to this client"):
            other.check(name, nonce)


def test_a_challenge_ends(challenges, clock):
    nonce = challenges.give("anna")
    clock.time_s += LIFETIME_S + 0.1
    with pytest.raises(TokenExpiredError, match="older than 30 s"):
        challenges.check("anna", nonce)


def test_a_challenge_that_was_signed_opens_nothing_twice(challenges):
    nonce = challenges.give("anna")
    challenges.used(nonce)
    with pytest.raises(TokenExpiredError, match="has been answered"):
        challenges.check("anna", nonce)


@pytest.mark.parametrize("change", [b"", b"x", None])
def test_no_changed_challenge_is_taken(challenges, change):
    nonce = challenges.give("anna")
    changed = bytes([nonce[0] ^ 1]) + nonce[1:] if change is None else change
    with pytest.raises(TokenExpiredError):
        challenges.check("anna", changed)
    with pytest.raises(TokenExpiredError):
        challenges.check("anna", nonce + b"x")


def test_strangers_who_ask_fill_no_memory_and_those_who_sign_fill_it_for_a_while(challenges, clock):
    for _ in range(1000):
        challenges.give("a stranger")
    assert not challenges._signed
    for _ in range(100):
        challenges.used(challenges.give("anna"))
    clock.time_s += LIFETIME_S + 1
    challenges.used(challenges.give("anna"))
    assert sys.getsizeof(challenges._signed) < 20_000
    assert len(challenges._signed) == 1
