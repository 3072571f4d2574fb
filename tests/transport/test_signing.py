"""On a public address the key that signs tokens is never one that others could know."""

import pytest

from flnb.core.errors import PlanError
from flnb.transport.signing import check_secret_file


@pytest.fixture
def secret(tmp_path):
    path = tmp_path / "secret"
    path.write_bytes(bytes(32))
    path.chmod(0o600)
    return path


def test_the_labs_own_secret_is_enough_while_only_its_owner_reads_it(secret):
    check_secret_file(secret, "10.0.0.5", {})


@pytest.mark.parametrize("mode", [0o604, 0o640, 0o622])
def test_a_secret_that_others_can_reach_is_refused_with_both_ways_out(secret, mode):
    secret.chmod(mode)
    with pytest.raises(PlanError, match=f"on 10.0.0.5 .* others .*mode {mode:o}") as caught:
        check_secret_file(secret, "10.0.0.5", {})
    assert caught.value.hint.startswith("chmod 600 ")
    assert "or set JWT_SECRET, 32 characters or more" in caught.value.hint


def test_a_secret_that_is_not_there_is_not_invented(secret):
    secret.unlink()
    with pytest.raises(PlanError, match="No such file"):
        check_secret_file(secret, "10.0.0.5", {})
    assert not secret.exists()


def test_the_environment_wins_over_the_file(secret):
    secret.chmod(0o644)
    check_secret_file(secret, "10.0.0.5", {"JWT_SECRET": "x" * 32})
