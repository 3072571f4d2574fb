"""Invites: one line that comes through mail and chat whole, or is known not to have."""

import base64
import hashlib
import json
import ssl
import string
import textwrap
import zlib
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from flnb.core.errors import PlanError
from flnb.transport.certs import Authority
from flnb.transport.invite import Invite, new_join_token, token_hash

PLAIN = Invite("127.0.0.1:50051", "lab-1", "hospital-a", "t0ken-" * 5)
ALPHABET = string.ascii_letters + string.digits + "-_"
WORDS = st.text(min_size=1, max_size=40).filter(str.isprintable)


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority.create(tmp_path_factory.mktemp("lab"), "flnb lab 1")


@pytest.fixture(scope="module")
def invite(authority):
    return replace(PLAIN, certificate=authority.certificate)


def packed(data, *, version=1):
    """A line that is right in itself, whatever it holds."""
    body = base64.urlsafe_b64encode(zlib.compress(data)).rstrip(b"=").decode()
    digest = hashlib.sha256(f"flnb{version}.{body}".encode()).digest()[:6]
    return f"flnb{version}.{body}.{base64.urlsafe_b64encode(digest).decode()}"


@given(WORDS, WORDS, WORDS, WORDS)
def test_what_was_written_is_read(address, lab, client, token):
    invite = Invite(address, lab, client, token)
    assert Invite.parse(invite.text) == invite


def test_the_certificate_comes_along(invite, authority):
    read = Invite.parse(invite.text)
    assert read == invite
    assert read.certificate == authority.certificate
    assert read.fingerprint == authority.fingerprint
    assert PLAIN.fingerprint is None


def test_it_is_one_short_word_that_no_shell_and_no_url_changes(invite):
    for one, most in ((PLAIN, 140), (invite, 680)):
        assert one.text.startswith("flnb1.")
        assert set(one.text) <= set(ALPHABET + ".")
        assert len(one.text) < most


def test_the_largest_invite_can_be_read():
    largest = Invite(*("".join(chr(0x20000 + 151 * n + k) for n in range(255)) for k in range(4)))
    assert Invite.parse(largest.text) == largest


STRAYS = [
    " {} \n",
    "\t{}\r\n\r\n",
    "\ufeff{}",
    "'{}'",
    "“{}”",
    "`{}`",
    "<{}>",
    "\u00a0{}\u200b",
]


@pytest.mark.parametrize("stray", STRAYS)
def test_what_pasting_puts_around_it_does_no_harm(invite, stray):
    assert Invite.parse(stray.format(invite.text)) == invite


@pytest.mark.parametrize("end", ["\n", "\r\n", " \n\t", "\u200b", "\u00ad\n"])
def test_line_breaks_within_do_no_harm(invite, end):
    assert Invite.parse(end.join(textwrap.wrap(invite.text, 76))) == invite


def test_the_whole_command_is_read_too_also_from_a_file(invite, tmp_path):
    command = f"flnb client join {invite.text} --task PACKAGE:FUNCTION --data DIR\n"
    (tmp_path / "c.txt").write_text(command)
    assert Invite.parse(command) == invite
    assert Invite.parse(tmp_path / "c.txt") == invite


@pytest.mark.parametrize("name", ["invite.txt", "my invite", "flnb1.invite"])
@pytest.mark.parametrize("encoding", ["ascii", "utf-8-sig", "utf-16"])
def test_a_file_that_holds_it_is_read(invite, tmp_path, monkeypatch, name, encoding):
    path = tmp_path / name
    path.write_text(f"\n{invite.text}\n", encoding)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for place in (path, str(path), name, f"~/{name}"):
        assert Invite.parse(place) == invite


def test_a_cut_line_is_known_for_one_wherever_it_was_cut(invite):
    for length in range(len("flnb1."), len(invite.text)):
        with pytest.raises(PlanError, match="was cut off") as refused:
            Invite.parse(invite.text[:length])
        assert "copy the whole line again" in refused.value.hint


def test_a_line_that_lost_its_beginning_is_no_invite_and_is_not_repeated(invite):
    for length in range(1, len(invite.text)):
        with pytest.raises(PlanError, match="no invite") as refused:
            Invite.parse(invite.text[length:])
        assert "begins with flnb1." in refused.value.hint
        assert len(invite.text) - length <= 40 or invite.text[length:] not in str(refused.value)


def test_a_line_that_lost_something_within_is_known_to_be_damaged(invite):
    for place in range(len("flnb1."), len(invite.text)):
        with pytest.raises(PlanError, match=r"damaged|cut off"):
            Invite.parse(invite.text[:place] + invite.text[place + 1 :])


@given(st.integers(len("flnb1."), len(PLAIN.text) - 1), st.sampled_from(ALPHABET + ".=%/é"))
@example(PLAIN.text.rindex(".") - 1, "A")
@example(len(PLAIN.text) - 1, "A")
def test_no_changed_sign_is_taken(place, sign):
    changed = PLAIN.text[:place] + sign + PLAIN.text[place + 1 :]
    if changed != PLAIN.text:
        with pytest.raises(PlanError, match=r"damaged|cut off"):
            Invite.parse(changed)


def test_two_lines_pasted_as_one_are_refused(invite):
    with pytest.raises(PlanError, match="damaged"):
        Invite.parse(invite.text + "\n" + invite.text)


def test_an_invite_of_a_newer_flnb_says_so():
    with pytest.raises(PlanError, match="version 2, this flnb reads version 1") as refused:
        Invite.parse(PLAIN.text.replace("flnb1.", "flnb2."))
    assert "install" in refused.value.hint


@pytest.mark.parametrize("place", ["", " ", "no-such-file", "/no/such/file", "a\0b", "~nobody-x/a"])
def test_what_is_neither_an_invite_nor_a_file_is_said_to_be_neither(place):
    with pytest.raises(PlanError, match="no invite"):
        Invite.parse(place)


def test_a_file_without_an_invite_is_said_to_have_none(tmp_path):
    for number, content in enumerate((b"", b"hello", b"\xff\0" * 1000, b"x" * 10**6)):
        path = tmp_path / f"{number}.txt"
        path.write_bytes(content)
        with pytest.raises(PlanError, match="no invite"):
            Invite.parse(path)
    with pytest.raises(PlanError, match="no invite"):
        Invite.parse(tmp_path)


FACTS = {"address": "a:1", "lab": "l", "client": "c", "token": "t"}
CRAFTED = {
    "a bomb": json.dumps(FACTS).encode().replace(b"{", b"{" + b" " * 10**7),
    "too deep": b"[" * 30_000,
    "no object": b"[]",
    "text": b'"address lab client token"',
    "no JSON": b"\xff",
    "nothing": b"",
    "incomplete": json.dumps({**FACTS, "token": None} | {"x": 1}).encode(),
    "a number": json.dumps({**FACTS, "lab": 7}).encode(),
    "empty": json.dumps({**FACTS, "client": ""}).encode(),
    "long": json.dumps({**FACTS, "client": "c" * 256}).encode(),
    "a line break": json.dumps({**FACTS, "client": "c\nroot"}).encode(),
    "not Unicode": json.dumps({**FACTS, "token": "\ud800"}).encode(),
    "missing": json.dumps({"address": "a:1"}).encode(),
    "no certificate": json.dumps(FACTS).encode() + b"\nMIIB",
}


@pytest.mark.parametrize("kind", CRAFTED)
def test_a_line_made_with_intent_is_refused_like_any_other(kind):
    with pytest.raises(PlanError):
        Invite.parse(packed(CRAFTED[kind]))


def test_a_newer_minor_field_does_not_shut_older_clients_out():
    assert Invite.parse(packed(json.dumps({**FACTS, "more": 1}).encode())).client == "c"


def test_what_is_no_zlib_is_refused():
    body = base64.urlsafe_b64encode(b"not zlib").rstrip(b"=").decode()
    check = base64.urlsafe_b64encode(hashlib.sha256(f"flnb1.{body}".encode()).digest()[:6])
    for line in (f"flnb1.{body}.{check.decode()}", "flnb1.A.AAAAAAAA", "flnb1." + "A" * 40_000):
        with pytest.raises(PlanError):
            Invite.parse(line)


@given(st.binary(max_size=200))
def test_no_content_does_worse_than_being_refused(data):
    with pytest.raises(PlanError):
        Invite.parse(packed(data))


@given(st.text(max_size=50))
def test_no_text_does_worse_than_being_refused(text):
    for line in (text, f"flnb1.{text}", f"flnb1.{text}.{text}"):
        with pytest.raises(PlanError):
            Invite.parse(line)


def test_an_invite_that_could_not_be_read_is_not_made(authority):
    for field in ("address", "lab", "client", "token"):
        for value in ("", "a\nb", "x" * 256):
            with pytest.raises(PlanError, match=f"the {field} of an invite"):
                replace(PLAIN, **{field: value})
    for pem in (b"", b"none", authority.certificate * 2, authority.certificate[:-40]):
        with pytest.raises(PlanError, match="one certificate"):
            replace(PLAIN, certificate=pem)


def test_a_certificate_is_kept_in_one_form(authority, invite):
    pem = authority.certificate.replace(b"\n", b"\r\n")
    assert replace(PLAIN, certificate=b"# the lab\n" + pem) == invite
    assert ssl.PEM_cert_to_DER_cert(invite.certificate.decode())


def test_the_token_is_not_shown(invite):
    shown = f"{invite!r} {invite}"
    assert "t0ken" not in shown
    assert "hospital-a" in shown
    assert "127.0.0.1:50051" in shown


def test_no_error_shows_the_token(tmp_path):
    for line in (PLAIN.text[:-1], PLAIN.text + "x", PLAIN.text.replace("flnb1", "flnb2")):
        with pytest.raises(PlanError) as refused:
            Invite.parse(line)
        assert line[10:40] not in str(refused.value)
    with pytest.raises(PlanError) as refused:
        replace(PLAIN, token="t0ken\n")
    assert "t0ken" not in str(refused.value)


def test_join_tokens_cannot_be_guessed_and_their_hash_knows_them():
    tokens = [new_join_token() for _ in range(1000)]
    assert len({token_hash(token) for token in tokens}) == 1000
    assert all(len(base64.urlsafe_b64decode(token)) >= 16 for token in tokens)
    assert token_hash(tokens[0]) == token_hash(tokens[0])
    assert all(tokens[0] not in token_hash(token) for token in tokens)


def test_the_hash_stays_the_same_from_one_version_to_the_next():
    """Labs have it on disk."""
    assert token_hash("a") == hashlib.sha256(b"flnb-join-token:a").hexdigest()
    assert token_hash("\ud800") == hashlib.sha256(b"flnb-join-token:?").hexdigest()
