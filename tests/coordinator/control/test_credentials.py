"""Tokens that were good need no look at the database until somebody writes to it."""

import asyncio
from datetime import timedelta

import pytest

import flnb
from flnb.coordinator.control.credentials import Credentials
from flnb.coordinator.granting import written_token
from flnb.coordinator.listening import issuer_of
from flnb.core.clock import SystemClock
from flnb.core.errors import TokenExpiredError, UnknownTokenError


@pytest.fixture
def lab(tmp_path):
    opened = flnb.open(tmp_path / "lab")
    yield opened
    opened.store.close()


@pytest.fixture
def credentials(lab):
    """Reads tokens, and counts how often the database was asked for one."""

    async def here(work, *arguments):
        made.asked += 1
        return work(*arguments)

    made = Credentials(issuer_of(lab.store), lab.store.state, here)
    made.asked = 0
    return made


def given(lab, lifetime_s=60.0):
    return written_token(lab.store, "ada", "viewer", timedelta(seconds=lifetime_s))[0]


def read(credentials, token):
    return asyncio.run(credentials.claims(token))


def test_a_token_is_looked_up_once_while_nobody_writes(lab, credentials):
    token = given(lab)
    assert {read(credentials, token).name for _ in range(20)} == {"ada"}
    assert credentials.asked == 1


def test_a_token_is_looked_up_again_after_every_commit(lab, credentials):
    token = given(lab)
    for _ in range(3):
        read(credentials, token)
        given(lab)
    assert credentials.asked == 3


def test_what_another_process_revoked_is_refused_with_the_next_call(lab, credentials):
    token = given(lab)
    read(credentials, token)
    elsewhere = flnb.open(lab.path)
    elsewhere.store.state.revoke_tokens("ada")
    elsewhere.store.close()
    with pytest.raises(UnknownTokenError, match="revoked"):
        read(credentials, token)


def test_what_was_read_before_a_commit_is_not_kept_after_it(lab, credentials):
    token = given(lab)

    async def read_while_another_reads(work, *arguments):
        found = work(*arguments)
        lab.store.state.revoke_tokens("ada")
        credentials._in_thread = real
        with pytest.raises(UnknownTokenError):
            await credentials.claims(token)
        return found

    real, credentials._in_thread = credentials._in_thread, read_while_another_reads
    read(credentials, token)
    with pytest.raises(UnknownTokenError):
        read(credentials, token)


class Later(SystemClock):
    """A clock two minutes ahead."""

    def now(self):
        return super().now() + timedelta(minutes=2)


def test_a_token_that_was_good_expires(lab, credentials, monkeypatch):
    token, clock = given(lab), Later()
    read(credentials, token)
    monkeypatch.setattr(f"{Credentials.__module__}.SYSTEM_CLOCK", clock)
    credentials._issuer._clock = clock
    with pytest.raises(TokenExpiredError, match="expired"):
        read(credentials, token)
