"""Secrets for people as one line that survives mail and chat: invites and passes.

A line is its kind and version + `.` + body + `.` + check. The body is compressed JSON and an
authority's certificate (DER), in URL-safe base64; the check, a part of the body's hash, tells a
pasted line that was cut or changed from one that is whole. It is no signature.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
import re
import ssl
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from flnb.core.errors import PlanError

_VERSION = 1
_START = re.compile(r"(flnb[a-z]*)(\d{1,9})\.")
_WHOLE = re.compile(r"flnb[a-z]*\d+\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]{8})")
_STRAY = re.compile(r"[\s\0\u00ad\u200b-\u200f\u2060\ufeff]+")
"""What mail and chat put into long lines: white space, some of it of no width."""
_QUOTES = "\"'`<>“”‘’„«»"
_MOST_BYTES = 32 * 1024
"""Nothing longer is looked into, or unpacked to."""
_MOST_CERTIFICATE_BYTES = 8192


@dataclass(frozen=True, slots=True)
class Line:
    """One kind of line.

    Examples:
        >>> line = Line("flnb", "invite", "an invite")
        >>> line.unpack(line.pack({"client": "anna"}, None), ("client",))
        ({'client': 'anna'}, None)
    """

    mark: str
    """What it begins with."""
    noun: str
    """What people call it, and the same with its article."""
    a_noun: str

    @property
    def again(self) -> str:
        """What to do with one that is damaged."""
        return f"copy the whole line again, or ask for another {self.noun}"

    @property
    def _begins(self) -> str:
        return f"{self.a_noun} begins with {self.mark}{_VERSION}. :"

    def begins(self, text: str) -> bool:
        """Whether a text looks like such a line, whole or not."""
        start = _START.match(_tidy(text))
        return start is not None and start[1] == self.mark

    def pack(self, facts: Mapping[str, str], certificate: bytes | None) -> str:
        """Write a line.

        Args:
            facts: What it says.
            certificate: Of the authority, as PEM.
        """
        head = json.dumps(dict(facts), separators=(",", ":")).encode()
        der = b"" if certificate is None else self.der(certificate)
        # JSON has no line break of its own, so the first one ends it.
        body = _base64(zlib.compress(head + b"\n" + der, 9))
        return f"{self.mark}{_VERSION}.{body}.{self._check(body)}"

    def unpack(
        self, text_or_path: str | os.PathLike[str], fields: tuple[str, ...]
    ) -> tuple[dict[str, str], bytes | None]:
        """Read a line.

        Args:
            text_or_path: The line as it was pasted, or the path of a file that holds it.
            fields: What it must say.

        Returns:
            What it says, and the certificate as PEM.

        Raises:
            PlanError: No such file, no such line, one that was cut or changed on its way, or one
                that a newer flnb made.
        """
        text = self._line(os.fspath(text_or_path))
        if not _START.match(text) or os.path.isfile(text_or_path):
            text = self._line(self._content(Path(text_or_path)))
        facts, certificate = self._unpacked(self._body(text))
        if any(not isinstance(facts.get(name), str) for name in fields):
            raise PlanError(f"the {self.noun} is incomplete", hint=self.again)
        return {name: facts[name] for name in fields}, certificate

    def pem(self, certificate: bytes) -> bytes:
        """A certificate in one form, so that a line that was written and read is the same one.

        Raises:
            PlanError: It is none, or several.
        """
        return ssl.DER_cert_to_PEM_cert(self.der(certificate)).encode()

    def der(self, pem: bytes) -> bytes:
        """A certificate as its bytes.

        Raises:
            PlanError: It is none, or several, or very long.
        """
        try:
            (certificate,) = x509.load_pem_x509_certificates(pem)
        except ValueError as error:
            found = f"{self.a_noun} carries one certificate, in PEM"
            raise PlanError(found, hint=self.again) from error
        der = certificate.public_bytes(Encoding.DER)
        if len(der) > _MOST_CERTIFICATE_BYTES:
            raise PlanError(f"the certificate has {len(der)} bytes, too many for {self.a_noun}")
        return der

    def _line(self, text: str) -> str:
        """The line itself, also where it stands within a command to run."""
        whole = [word for word in map(_tidy, text.split()) if _WHOLE.fullmatch(word)]
        return whole[0] if len(whole) == 1 else _tidy(text)

    def _content(self, path: Path) -> str:
        try:
            with path.expanduser().open("rb") as file:
                # A line is ASCII. What is not comes from an editor or a shell: marks at the beginning,
                # or a second byte for every character.
                return file.read(2 * _MOST_BYTES).decode("ascii", "ignore")
        except (OSError, ValueError, RuntimeError) as error:
            # A line that lost its beginning looks like a path; it is a secret, so it is not repeated.
            known = len(str(path)) <= 40 or "/" in str(path)
            found = (
                f"{str(path)!r} is no {self.noun} and no file"
                if known
                else f"this is no {self.noun}"
            )
            raise PlanError(
                f"{found} that can be read",
                hint=f"{self._begins} copy the whole line, or name a file that holds it",
            ) from error

    def _body(self, text: str) -> str:
        """The part between the version and the check, once they have been looked at."""
        if not (start := _START.match(text)):
            raise PlanError(
                f"there is no {self.noun} in this", hint=f"{self._begins} copy the whole line"
            )
        if start[1] != self.mark:
            raise PlanError(
                f"this is no {self.noun}", hint=f"{self._begins} this begins with {start[0]}"
            )
        if int(start[2]) != _VERSION:
            raise PlanError(
                f"the {self.noun} is of version {int(start[2])}, this flnb reads version {_VERSION}",
                hint=f"install the flnb that the coordinator has, or ask for another {self.noun}",
            )
        if len(text) > _MOST_BYTES:
            raise PlanError(f"{self.a_noun} has at most {_MOST_BYTES} characters", hint=self.again)
        if not (whole := _WHOLE.fullmatch(text)):
            _, _, check = text[start.end() :].partition(".")
            cut = len(check) < len(self._check(""))
            raise PlanError(
                f"the {self.noun} {'was cut off' if cut else 'is damaged'}", hint=self.again
            )
        if whole[2] != self._check(whole[1]):
            raise PlanError(f"the {self.noun} is damaged: its check does not fit", hint=self.again)
        return whole[1]

    def _unpacked(self, body: str) -> tuple[dict[str, Any], bytes | None]:
        try:
            unpacking = zlib.decompressobj()
            packed = base64.b64decode(body + "=" * (-len(body) % 4), b"-_", validate=True)
            data = unpacking.decompress(packed, _MOST_BYTES)
            head, _, certificate = data.partition(b"\n")
            facts = json.loads(head)
        except (binascii.Error, zlib.error, ValueError, RecursionError) as error:
            raise PlanError(f"the {self.noun} cannot be unpacked", hint=self.again) from error
        if not unpacking.eof or not isinstance(facts, dict):
            raise PlanError(f"the {self.noun} cannot be unpacked", hint=self.again)
        return facts, ssl.DER_cert_to_PEM_cert(certificate).encode() if certificate else None

    def _check(self, body: str) -> str:
        return _base64(hashlib.sha256(f"{self.mark}{_VERSION}.{body}".encode()).digest()[:6])


def _tidy(text: str) -> str:
    return _STRAY.sub("", text).strip(_QUOTES)


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
