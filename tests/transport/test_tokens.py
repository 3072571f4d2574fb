"""Access tokens: only this lab makes them, and only this lab's are read."""

import base64
import json
import re
import string
from datetime import UTC, datetime, timedelta

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import example, given
from hypothesis import strategies as st

from flnb.core.errors import AccessRefusedError, PlanError, TokenExpiredError, UnknownTokenError
from flnb.core.seeds import SecretRoot
from flnb.transport.identity import key_pem
from flnb.transport.signing import signing_keys
from flnb.transport.tokens import ROLES, Role, TokenIssuer, allows

KEY, OLD_KEY = b"k" * 32, b"o" * 40
STEPS = ["viewer", "operator", "admin"]
NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)


class Clock:
    def __init__(self):
        self.time = NOW

    def now(self):
        return self.time

    def monotonic_s(self):
        return self.time.timestamp()

    def advance(self, seconds):
        self.time += timedelta(seconds=seconds)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def issuer(clock):
    return TokenIssuer({"new": KEY, "old": OLD_KEY}, "lab-1", current="new", clock=clock)


STILL = TokenIssuer({"new": KEY}, "lab-1", current="new", clock=Clock())
TOKEN = STILL.issue("hospital-a", "client", 60.0)


def claims_with(**changes):
    seconds = NOW.timestamp()
    claims = {
        "iss": "flnb:lab-1",
        "aud": "flnb:lab-1",
        "sub": "hospital-a",
        "exp": seconds + 60,
        "iat": seconds,
        "jti": "1",
        "scope": "client",
    }
    return {name: value for name, value in {**claims, **changes}.items() if value is not ...}


def signed(claims, key=KEY, algorithm="HS256", **headers):
    """A token as anybody can make one: with other claims, another key, other headers."""
    headers = {"kid": "new", **headers}
    headers = {name: value for name, value in headers.items() if value is not ...}
    return jwt.api_jws.encode(json.dumps(claims).encode(), key, algorithm, headers=headers)


def plain(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def test_a_token_says_who_may_do_what_and_until_when(issuer):
    claims = issuer.verify(issuer.issue("hospital-a", "client", 12.5))
    assert (claims.name, claims.role, claims.key_id) == ("hospital-a", Role.CLIENT, "new")
    assert (claims.lab, claims.expires_at) == ("lab-1", NOW.timestamp() + 12.5)


def test_two_tokens_never_have_the_same_number(issuer):
    tokens = [issuer.issue("hospital-a", "client", 60.0) for _ in range(2)]
    assert len({issuer.verify(token).token_id for token in tokens}) == 2


@given(
    st.text(min_size=1, max_size=50).filter(str.isprintable),
    st.sampled_from(ROLES),
    st.floats(1e-3, 1e9),
)
def test_what_is_issued_can_be_read(name, role, lifetime_s):
    claims = STILL.verify(STILL.issue(name, role, lifetime_s))
    assert (claims.name, claims.role) == (name, role)
    assert claims.expires_at == NOW.timestamp() + lifetime_s


def test_it_is_good_to_the_fraction_of_a_second_and_no_longer(issuer, clock):
    token = issuer.issue("hospital-a", "client", 1.5)
    clock.advance(1.499)
    issuer.verify(token)
    clock.advance(0.001)
    with pytest.raises(TokenExpiredError, match="hospital-a expired 0 s ago") as refused:
        issuer.verify(token)
    assert "sign in again" in refused.value.hint


def test_after_the_clock_was_set_back_a_token_does_not_live_longer(issuer, clock):
    token = issuer.issue("hospital-a", "client", 60.0)
    clock.advance(-3600)
    with pytest.raises(TokenExpiredError, match=r"3600\.0 s from the future"):
        issuer.verify(token)


def test_after_a_change_of_keys_older_tokens_are_read_and_the_new_key_signs(clock):
    before = TokenIssuer({"old": OLD_KEY}, "lab-1", current="old", clock=clock)
    token = before.issue("hospital-a", "client", 60.0)
    after = TokenIssuer({"new": KEY, "old": OLD_KEY}, "lab-1", current="new", clock=clock)
    assert after.verify(token).key_id == "old"
    assert after.verify(after.issue("hospital-a", "client", 60.0)).key_id == "new"
    without = TokenIssuer({"new": KEY}, "lab-1", current="new", clock=clock)
    with pytest.raises(AccessRefusedError, match='no key "old"'):
        without.verify(token)


def test_a_key_verifies_only_what_names_it(issuer):
    with pytest.raises(AccessRefusedError, match="signature does not fit"):
        issuer.verify(signed(claims_with(), key=OLD_KEY))


def test_a_token_of_another_lab_is_refused_even_with_the_same_key(issuer, clock):
    other = TokenIssuer({"new": KEY}, "lab-2", current="new", clock=clock)
    with pytest.raises(AccessRefusedError, match="another lab"):
        issuer.verify(other.issue("hospital-a", "client", 60.0))


RSA = rsa.generate_private_key(65537, 2048)
REFUSED = [
    ('algorithm is "none"', f"{plain({'alg': 'none', 'kid': 'new'})}.{plain(claims_with())}."),
    ('algorithm is "NONE"', f"{plain({'alg': 'NONE', 'kid': 'new'})}.{plain(claims_with())}."),
    ("algorithm is null", f"{plain({'kid': 'new'})}.{plain(claims_with())}."),
    ('algorithm is "HS512"', signed(claims_with(), b"k" * 64, "HS512")),
    ('algorithm is "RS256"', signed(claims_with(), key_pem(RSA), "RS256")),
    ("another lab (audience)", signed(claims_with(aud="flnb:lab-2"))),
    ("another lab (audience)", signed(claims_with(aud=["flnb:lab-1", "flnb:lab-2"]))),
    ("another lab (issuer)", signed(claims_with(iss="flnb:lab-2"))),
    ("another lab (issuer)", signed(claims_with(iss=["flnb:lab-1"]))),
    ("does not name the key", signed(claims_with(), kid=...)),
    ("does not name the key", signed(claims_with(), kid="")),
    ('no key "newer"', signed(claims_with(), kid="newer")),
    ('no key "kkkk', signed(claims_with(), kid="k" * 1000)),
    ('no key "new\\u202e"', signed(claims_with(), kid="new\u202e")),
    ("cannot be read", f"{plain({'alg': 'HS256', 'kid': ['new']})}.{plain({})}.AA"),
    ("signature does not fit", signed(claims_with(), b"x" * 32)),
    ('role that there is not: "root"', signed(claims_with(scope="root"))),
    ('role that there is not: ["client"]', signed(claims_with(scope=["client"]))),
    ("not text", signed(claims_with(jti=5))),
    ("not text", signed(claims_with(sub=["hospital-a"]))),
    ("name or its number is missing", signed(claims_with(sub=""))),
    ("name or its number is missing", signed(claims_with(jti=""))),
    ("'exp' is not a time", signed(claims_with(exp="2040-01-01"))),
    ("'exp' is not a time", signed(claims_with(exp=True))),
    ("'exp' is not a time", signed(claims_with(exp=float("nan")))),
    ("'exp' is not a time", signed(claims_with(exp=float("inf")))),
    ("'exp' is not a time", signed(claims_with(exp=10**400))),
    ("'iat' is not a time", signed(claims_with(iat={}))),
    ("at most 4096 are read", signed(claims_with(sub="n" * 4096))),
    ("cannot be read", ""),
    ("cannot be read", ".."),
    ("cannot be read", base64.urlsafe_b64encode(b"[" * 2900).decode() + ".e30.AA"),
    ("cannot be read", TOKEN + "\ud800"),
    ("cannot be read", "\0" * 20 + ".\xff.\xff"),
]


@pytest.mark.parametrize(("reason", "token"), REFUSED, ids=[reason for reason, _ in REFUSED])
def test_what_is_no_token_of_this_lab_is_refused_with_the_reason(issuer, reason, token):
    with pytest.raises(AccessRefusedError, match=re.escape(reason)) as refused:
        issuer.verify(token)
    assert type(refused.value) is UnknownTokenError
    assert not any(len(part) > 4 and part in str(refused.value) for part in token.split("."))
    assert len(str(refused.value)) < 200


@pytest.mark.parametrize("claim", ["iss", "aud", "sub", "exp", "iat", "jti", "scope"])
@pytest.mark.parametrize("value", [..., None])
def test_every_claim_is_required(issuer, claim, value):
    with pytest.raises(AccessRefusedError, match=f"'{claim}' is missing"):
        issuer.verify(signed(claims_with(**{claim: value})))


def test_the_same_claims_whole_are_taken(issuer):
    """So that the refusals above are for what they say."""
    assert issuer.verify(signed(claims_with())).name == "hospital-a"


def test_an_expired_forgery_is_a_forgery(issuer):
    forged = signed(claims_with(exp=NOW.timestamp() - 1), b"x" * 32)
    with pytest.raises(AccessRefusedError, match="signature"):
        issuer.verify(forged)


@given(st.integers(0, len(TOKEN) - 1), st.sampled_from(string.printable + "é\u200b"))
@example(len(TOKEN) - 1, "=")
def test_no_changed_sign_verifies(place, sign):
    changed = TOKEN[:place] + sign + TOKEN[place + 1 :]
    if changed != TOKEN:
        with pytest.raises(AccessRefusedError):
            STILL.verify(changed)


def test_no_other_text_is_the_same_token():
    """The last sign of a signature has two bits to spare, and lenient readers skip what is strange."""
    alphabet = string.ascii_letters + string.digits + "-_"
    others = [TOKEN[:-1] + sign for sign in alphabet if sign != TOKEN[-1]]
    others += [TOKEN + end for end in ("=", "\n", " ", "A", ".", "!")]
    others += [TOKEN[:-1] + "\n" + TOKEN[-1], " " + TOKEN]
    for other in others:
        with pytest.raises(AccessRefusedError):
            STILL.verify(other)


@given(st.text(max_size=60) | st.lists(st.text(max_size=20), min_size=3, max_size=3).map(".".join))
@example(TOKEN + "\ud800")
@example(base64.urlsafe_b64encode(b"[" * 2900).decode() + ".e30.AA")
def test_no_text_at_all_does_worse_than_being_refused(text):
    with pytest.raises(AccessRefusedError):
        STILL.verify(text)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=4))
def test_no_signed_claim_does_worse_than_being_refused(value):
    for claim in claims_with():
        try:
            read = STILL.verify(signed(claims_with(**{claim: value})))
        except AccessRefusedError:
            continue
        assert claim in {"sub", "jti", "exp", "iat"}
        assert read.expires_at > NOW.timestamp()


@pytest.mark.parametrize("n_bytes", [0, 1, 31])
def test_a_short_key_is_refused_with_its_length(n_bytes):
    with pytest.raises(PlanError, match=f"'short' has {n_bytes} bytes, at least 32"):
        TokenIssuer({"new": KEY, "short": b"s" * n_bytes}, "lab", current="new")


@pytest.mark.parametrize("key", [key_pem(RSA), b'{"kty": "oct", "k": "' + b"x" * 40 + b'"}'])
def test_a_key_of_another_kind_is_refused(key):
    with pytest.raises(PlanError, match="a secret is needed"):
        TokenIssuer({"new": key}, "lab", current="new")
    with pytest.raises(PlanError, match="JWT_SECRET is a key of another kind"):
        signing_keys(SecretRoot(KEY), {"JWT_SECRET": key.decode()})


def test_the_key_to_sign_with_must_be_one_of_them():
    with pytest.raises(PlanError, match="no signing key 'newer'") as refused:
        TokenIssuer({"new": KEY}, "lab", current="newer")
    assert refused.value.hint == "did you mean 'new'?"
    with pytest.raises(PlanError, match="no signing key"):
        TokenIssuer({}, "lab", current="new")


def test_keys_are_not_shown(issuer):
    assert "kkkk" not in repr(issuer)


@pytest.mark.parametrize(
    ("name", "role", "lifetime_s"),
    [
        ("", "client", 60.0),
        ("a", "root", 60.0),
        ("a", "", 60.0),
        ("a", "client", 0.0),
        ("a", "client", -1.0),
        ("a", "client", float("nan")),
        ("a", "client", float("inf")),
    ],
)
def test_no_token_is_made_for_nobody_nothing_or_for_ever(issuer, name, role, lifetime_s):
    with pytest.raises(PlanError):
        issuer.issue(name, role, lifetime_s)


def test_the_key_of_the_environment_wins():
    keys = signing_keys(SecretRoot(KEY), {"JWT_SECRET": "e" * 32})
    assert list(keys.values()) == [b"e" * 32]


def test_the_environment_of_the_process_is_looked_at(monkeypatch):
    monkeypatch.setenv("JWT_SECRET", "p" * 32)
    assert list(signing_keys(SecretRoot(KEY)).values()) == [b"p" * 32]


@pytest.mark.parametrize("text", ["", "x" * 31, "é" * 16])
def test_a_short_key_of_the_environment_is_refused_and_not_replaced(text):
    with pytest.raises(PlanError, match=f"JWT_SECRET has {len(text)} characters, at least 32"):
        signing_keys(SecretRoot(KEY), {"JWT_SECRET": text})
    with pytest.raises(PlanError, match="JWT_SECRET_PREVIOUS has"):
        signing_keys(SecretRoot(KEY), {"JWT_SECRET_PREVIOUS": text})


def test_the_lab_has_a_key_of_its_own_that_stays_and_that_no_other_lab_has():
    (key,) = signing_keys(SecretRoot(KEY), {}).values()
    assert signing_keys(SecretRoot(KEY), {}) == signing_keys(SecretRoot(KEY), {})
    assert key not in signing_keys(SecretRoot(OLD_KEY), {}).values()
    assert len(bytes.fromhex(key.decode())) == 32
    parts = {key[place : place + 16] for place in range(0, 64, 16)}
    assert len(parts) == 4
    assert SecretRoot(KEY).derive(purpose="access-tokens") not in {int(part, 16) for part in parts}


def test_the_key_of_before_still_reads_and_the_new_one_signs(clock):
    before = signing_keys(SecretRoot(KEY), {"JWT_SECRET": "a" * 32})
    both = {"JWT_SECRET": "b" * 32, "JWT_SECRET_PREVIOUS": "a" * 32}
    after = signing_keys(SecretRoot(KEY), both)
    old = TokenIssuer(before, "lab", current=next(iter(before)), clock=clock)
    new = TokenIssuer(after, "lab", current=next(iter(after)), clock=clock)
    assert new.verify(old.issue("hospital-a", "client", 60.0)).key_id in before
    assert new.verify(new.issue("hospital-a", "client", 60.0)).key_id not in before


def test_a_keys_name_changes_with_the_key_and_does_not_tell_it():
    (name,) = signing_keys(SecretRoot(KEY), {"JWT_SECRET": "a" * 32})
    (other,) = signing_keys(SecretRoot(KEY), {"JWT_SECRET": "a" * 31 + "b"})
    assert name != other
    assert len(name) == 8


def test_roles_are_a_ladder_with_clients_beside_it():
    granted = {(role, needed) for role in ROLES for needed in ROLES if allows(role, needed)}
    ladder = {(high, low) for place, high in enumerate(STEPS) for low in STEPS[: place + 1]}
    assert granted == ladder | {("client", "client")}


@given(st.text(max_size=10))
@example("")
@example("Client")
def test_what_is_no_role_may_do_nothing_and_lets_nobody_in(word):
    for role in ROLES:
        assert word in ROLES or not (allows(word, role) or allows(role, word) or allows(word, word))
