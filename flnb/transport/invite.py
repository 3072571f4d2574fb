"""An invite: all that a client needs to find a coordinator, trust it, and join once.

It is one line that survives mail and chat: `flnb1.` + body + `.` + check. The body is compressed
JSON and the authority's certificate (DER), in URL-safe base64; the check, a part of the body's
hash, tells a pasted line that was cut or changed from one that is whole. It is no signature: who
holds an invite can join, so it is a secret until it has been used.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
import re
import secrets
import ssl
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from flnb.core.errors import PlanError
from flnb.transport.certs import fingerprint

_VERSION = 1
_START = re.compile(r"flnb(\d{1,9})\.")
_WHOLE = re.compile(r"flnb1\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]{8})")
_STRAY = re.compile(r"[\s\0\u00ad\u200b-\u200f\u2060\ufeff]+")
"""What mail and chat put into long lines: white space, some of it of no width."""
_QUOTES = "\"'`<>“”‘’„«»"
_MOST_BYTES = 32 * 1024
"""Nothing longer is looked into, or unpacked to."""
_FIELDS = ("address", "lab", "client", "token")
_MOST_CHARACTERS, _MOST_CERTIFICATE_BYTES = 255, 8192
_AGAIN = "copy the whole line again, or ask for another invite"


@dataclass(frozen=True, slots=True, repr=False)
class Invite:
    """What a client needs to join.

    Raises:
        PlanError: A field is empty or has signs that cannot be shown, or the certificate is none.
    """

    address: str
    """Where the coordinator listens: `host:port`."""
    lab: str
    """Identity of the lab."""
    client: str
    """The name under which the client will be known."""
    token: str
    """Good for one key to join with; never shown."""
    certificate: bytes | None = None
    """Of the lab's authority, as PEM; None where nothing is encrypted, on loopback."""

    def __post_init__(self) -> None:
        for name in _FIELDS:
            value = getattr(self, name)
            if not 0 < len(value) <= _MOST_CHARACTERS:
                raise PlanError(f"the {name} of an invite has 1 to {_MOST_CHARACTERS} characters")
            if not value.isprintable():
                raise PlanError(f"the {name} of an invite has signs that cannot be shown")
        if self.certificate is not None:
            # In one form, so that an invite that was written and read is the same one.
            pem = ssl.DER_cert_to_PEM_cert(_der(self.certificate)).encode()
            object.__setattr__(self, "certificate", pem)

    @property
    def fingerprint(self) -> str | None:
        """SHA-256 of the certificate, for people to compare; None where there is none."""
        return fingerprint(self.certificate) if self.certificate is not None else None

    @property
    def text(self) -> str:
        """The invite as one line.

        Examples:
            >>> invite = Invite("localhost:5005", "lab", "hospital-a", new_join_token())
            >>> Invite.parse(invite.text) == invite
            True
        """
        facts = {name: getattr(self, name) for name in _FIELDS}
        head = json.dumps(facts, separators=(",", ":")).encode()
        certificate = b"" if self.certificate is None else _der(self.certificate)
        # JSON has no line break of its own, so the first one ends it.
        body = _base64(zlib.compress(head + b"\n" + certificate, 9))
        return f"flnb{_VERSION}.{body}.{_check(body)}"

    @classmethod
    def parse(cls, text_or_path: str | os.PathLike[str]) -> Self:
        """Read an invite.

        Args:
            text_or_path: The line as it was pasted, or the path of a file that holds it.

        Raises:
            PlanError: No such file, no invite, one that was cut or changed on its way, or one that
                a newer flnb made.
        """
        text = _tidy(os.fspath(text_or_path))
        if not _START.match(text) or os.path.isfile(text_or_path):
            text = _tidy(_content(Path(text_or_path)))
        facts, certificate = _unpacked(_body(text))
        if any(not isinstance(facts.get(name), str) for name in _FIELDS):
            raise PlanError("the invite is incomplete", hint=_AGAIN)
        return cls(**{name: facts[name] for name in _FIELDS}, certificate=certificate)

    def __repr__(self) -> str:
        """Without the token."""
        return f"Invite({self.client} to lab {self.lab} at {self.address})"


def new_join_token() -> str:
    """Make a token to join with: 192 random bits, as text."""
    return secrets.token_urlsafe(24)


def token_hash(token: str) -> str:
    """What a lab keeps of a token: enough to know it again, not enough to join.

    Examples:
        >>> token_hash("a") == token_hash("a"), token_hash("a") == token_hash("b")
        (True, False)
    """
    # No salt and no slow hash: nobody guesses 192 random bits.
    return hashlib.sha256(b"flnb-join-token:" + token.encode("utf-8", "replace")).hexdigest()


def _tidy(text: str) -> str:
    return _STRAY.sub("", text).strip(_QUOTES)


def _content(path: Path) -> str:
    try:
        with path.expanduser().open("rb") as file:
            # An invite is ASCII. What is not comes from an editor or a shell: marks at the beginning,
            # or a second byte for every character.
            return file.read(2 * _MOST_BYTES).decode("ascii", "ignore")
    except (OSError, ValueError, RuntimeError) as error:
        # A line that lost its beginning looks like a path; it is a secret, so it is not repeated.
        known = len(str(path)) <= 40 or "/" in str(path)
        found = f"{str(path)!r} is no invite and no file" if known else "this is no invite"
        raise PlanError(
            f"{found} that can be read",
            hint="an invite begins with flnb1. : copy the whole line, or name a file that holds it",
        ) from error


def _body(text: str) -> str:
    """The part between the version and the check, once they have been looked at."""
    if not (start := _START.match(text)):
        hint = "an invite begins with flnb1. : copy the whole line"
        raise PlanError("there is no invite in this", hint=hint)
    if int(start[1]) != _VERSION:
        raise PlanError(
            f"the invite is of version {int(start[1])}, this flnb reads version {_VERSION}",
            hint="install the flnb that the coordinator has, or ask for another invite",
        )
    if len(text) > _MOST_BYTES:
        raise PlanError(f"an invite has at most {_MOST_BYTES} characters", hint=_AGAIN)
    if not (whole := _WHOLE.fullmatch(text)):
        _, _, check = text[start.end() :].partition(".")
        cut = len(check) < len(_check(""))
        raise PlanError(f"the invite {'was cut off' if cut else 'is damaged'}", hint=_AGAIN)
    if whole[2] != _check(whole[1]):
        raise PlanError("the invite is damaged: its check does not fit", hint=_AGAIN)
    return whole[1]


def _unpacked(body: str) -> tuple[dict[str, Any], bytes | None]:
    try:
        unpacking = zlib.decompressobj()
        packed = base64.b64decode(body + "=" * (-len(body) % 4), b"-_", validate=True)
        data = unpacking.decompress(packed, _MOST_BYTES)
        head, _, certificate = data.partition(b"\n")
        facts = json.loads(head)
    except (binascii.Error, zlib.error, ValueError, RecursionError) as error:
        raise PlanError("the invite cannot be unpacked", hint=_AGAIN) from error
    if not unpacking.eof or not isinstance(facts, dict):
        raise PlanError("the invite cannot be unpacked", hint=_AGAIN)
    return facts, ssl.DER_cert_to_PEM_cert(certificate).encode() if certificate else None


def _check(body: str) -> str:
    return _base64(hashlib.sha256(f"flnb{_VERSION}.{body}".encode()).digest()[:6])


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _der(pem: bytes) -> bytes:
    try:
        (certificate,) = x509.load_pem_x509_certificates(pem)
    except ValueError as error:
        raise PlanError("an invite carries one certificate, in PEM", hint=_AGAIN) from error
    der = certificate.public_bytes(Encoding.DER)
    if len(der) > _MOST_CERTIFICATE_BYTES:
        raise PlanError(f"the certificate has {len(der)} bytes, too many for an invite")
    return der
