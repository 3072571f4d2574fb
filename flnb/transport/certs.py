"""A certificate authority of one's own: who a server is, without anybody else in between.

A lab makes one authority. Its certificate goes to clients with their invites; its key stays in the
lab's folder and signs short-lived certificates of servers and, where a coordinator asks for them, of
clients (mutual TLS). Keys are ECDSA on P-256, which every TLS library takes.

    ca.pem        the certificate: public, what clients trust
    ca-key.pem    its key, readable by its owner alone
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from flnb.core.clock import SYSTEM_CLOCK, Clock
from flnb.core.errors import PlanError, StoreError
from flnb.transport.hosts import general_name
from flnb.transport.identity import key_pem, load_key, write_once

_CERTIFICATE, KEY_FILE = "ca.pem", "ca-key.pem"
_AUTHORITY_DAYS = 3650
LEAF_DAYS = 397
"""Some TLS libraries refuse servers whose certificate lives for more than 398 days."""
_BACKDATED = timedelta(days=1)
"""A client whose clock is slow must not find a new certificate to be one of the future."""
_SIGNS_DATA = x509.KeyUsage(True, *[False] * 8)
_SIGNS_CERTIFICATES = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
_RESTORE = "restore it from a copy; a new authority needs another folder, and new invites"
_Keys = tuple[ec.EllipticCurvePrivateKey, ec.EllipticCurvePrivateKey]


@dataclass(frozen=True, slots=True, repr=False)
class Certified:
    """A certificate that an authority signed, and its key."""

    certificate_pem: bytes
    key_pem: bytes
    """Never shown."""

    @property
    def expires_at(self) -> datetime:
        """When it ends (UTC)."""
        return _read(self.certificate_pem).not_valid_after_utc

    def __repr__(self) -> str:
        """Without the key."""
        return f"{type(self).__name__}(until {self.expires_at:%Y-%m-%d})"


class ServerCertificate(Certified):
    """What a server shows, for the hosts under which clients reach it."""

    __slots__ = ()

    @property
    def hosts(self) -> tuple[str, ...]:
        """Names and addresses that it is good for."""
        extensions = _read(self.certificate_pem).extensions
        names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return tuple(str(name.value) for name in names)

    def renew_if_due(self, authority: Authority) -> ServerCertificate:
        """Issue another one when this is in the last third of its life, or of another authority.

        Returns:
            The certificate itself while it is good.
        """
        due_days = authority.days_to_renew(self)
        return authority.issue(self.hosts, due_days) if due_days else self


class Authority:
    """A certificate authority; see `create`, `open` and `open_or_create`."""

    def __init__(
        self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey, clock: Clock
    ) -> None:
        self._certificate, self._key, self._clock = certificate, key, clock

    @classmethod
    def create(cls, folder: Path | str, name: str, *, clock: Clock = SYSTEM_CLOCK) -> Self:
        """Make an authority.

        Args:
            folder: Where its two files go; made when it is missing.
            name: Its name, at most 64 characters; for people who look at the certificate.
            clock: Where the time comes from.

        Raises:
            StoreError: There is one already, or the folder cannot be written.
            PlanError: Not a name.
        """
        if not _make(Path(folder), name, clock):
            hint = "open that one: clients trust it; or name another folder"
            raise StoreError(f"there is a certificate authority in {folder} already", hint=hint)
        return cls.open(folder, clock=clock)

    @classmethod
    def open(cls, folder: Path | str, *, clock: Clock = SYSTEM_CLOCK) -> Self:
        """Open the authority of a folder.

        Raises:
            StoreError: There is none, it is damaged, or others can read its key.
        """
        path = Path(folder) / _CERTIFICATE
        certificate = _read(cls.certificate_in(folder))
        key = load_key(Path(folder) / KEY_FILE, ec.EllipticCurvePrivateKey, hint=_RESTORE)
        if certificate.public_key() != key.public_key():
            raise StoreError(f"{path} and the key beside it do not fit", hint=_RESTORE)
        return cls(certificate, key, clock)

    @staticmethod
    def certificate_in(folder: Path | str) -> bytes:
        """The certificate of a folder's authority, as PEM; its key may be elsewhere.

        Raises:
            StoreError: There is none.
        """
        try:
            return (Path(folder) / _CERTIFICATE).read_bytes()
        except OSError as error:
            found = f"there is no certificate authority in {folder} ({error.strerror})"
            raise StoreError(found, hint="look at the path; flnb certs init makes one") from error

    @classmethod
    def open_or_create(cls, folder: Path | str, name: str, *, clock: Clock = SYSTEM_CLOCK) -> Self:
        """Open the authority of a folder, or make it where there is none.

        Raises:
            StoreError: As `open` and `create`.
            PlanError: Not a name.
        """
        _make(Path(folder), name, clock)
        return cls.open(folder, clock=clock)

    @property
    def certificate(self) -> bytes:
        """The certificate that clients trust, as PEM."""
        return self._certificate.public_bytes(Encoding.PEM)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate, for people to compare."""
        return fingerprint(self.certificate)

    @property
    def expires_at(self) -> datetime:
        """When it ends (UTC), and with it all that it signed."""
        return self._certificate.not_valid_after_utc

    def issue(self, hosts: Sequence[str], days: int = LEAF_DAYS) -> ServerCertificate:
        """Make a certificate, with a new key, for a server.

        Args:
            hosts: Names and addresses under which clients reach it.
            days: How long it is good; never longer than the authority.

        Raises:
            PlanError: No host, something that is not one, or no time.
            StoreError: The authority itself has expired.
        """
        hosts = [hosts] if isinstance(hosts, str) else hosts
        names = list(dict.fromkeys(map(general_name, hosts)))
        if not names:
            raise PlanError("a server's certificate needs at least one host")
        san, usage = x509.SubjectAlternativeName(names), ExtendedKeyUsageOID.SERVER_AUTH
        return ServerCertificate(*self._issue("flnb coordinator", usage, days, san))

    def issue_client(self, name: str, days: int = LEAF_DAYS) -> Certified:
        """Make a certificate, with a new key, for a client.

        Args:
            name: The client's name; the common name of the certificate.
            days: As for a server.

        Raises:
            PlanError: Not a name, or no time.
            StoreError: The authority itself has expired.
        """
        return Certified(*self._issue(name, ExtendedKeyUsageOID.CLIENT_AUTH, days))

    def days_to_renew(self, issued: Certified) -> int:
        """For how many days a certificate should be issued again; 0 while it is still good."""
        certificate = _read(issued.certificate_pem)
        ends = certificate.not_valid_after_utc
        life = ends - certificate.not_valid_before_utc - _BACKDATED
        # One that ends with its authority would not live longer for being issued again.
        ending = ends - self._clock.now() < life / 3 and ends < self.expires_at
        if not ending and signed_by(issued.certificate_pem, self.certificate):
            return 0
        return max(1, round(life / timedelta(days=1)))

    def _issue(
        self,
        name: str,
        usage: x509.ObjectIdentifier,
        days: int,
        hosts: x509.SubjectAlternativeName | None = None,
    ) -> tuple[bytes, bytes]:
        now = self._clock.now()
        if days < 1:
            raise PlanError(f"a certificate is good for at least a day, got {days}")
        if now >= self.expires_at:
            hint = "make one in another folder, and invite the clients again"
            raise StoreError(f"the authority expired on {self.expires_at:%Y-%m-%d}", hint=hint)
        key = ec.generate_private_key(ec.SECP256R1())
        ends = min(now + timedelta(days=min(days, _AUTHORITY_DAYS)), self.expires_at)
        builder = (
            _builder(_name(name), self._certificate.subject, (key, self._key), now, ends)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_SIGNS_DATA, critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        )
        if hosts is not None:
            builder = builder.add_extension(hosts, critical=False)
        leaf = builder.sign(self._key, hashes.SHA256())
        return leaf.public_bytes(Encoding.PEM), key_pem(key)


def fingerprint(certificate_pem: bytes) -> str:
    """SHA-256 of a certificate, in the form in which `openssl x509 -fingerprint -sha256` shows it.

    Raises:
        StoreError: Not a certificate.
    """
    return _read(certificate_pem).fingerprint(hashes.SHA256()).hex(":").upper()


def signed_by(certificate_pem: bytes, authority_pem: bytes) -> bool:
    """Tell whether an authority signed a certificate.

    Raises:
        StoreError: One of them is not a certificate.
    """
    try:
        _read(certificate_pem).verify_directly_issued_by(_read(authority_pem))
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _make(folder: Path, name: str, clock: Clock) -> bool:
    """Make an authority unless there is one; its certificate comes last, so it is never half there.

    A key without one is left from a crash, or another process is here too: that key is taken.
    """
    if (folder / _CERTIFICATE).exists():
        return False
    subject, now = _name(name), clock.now()
    write_once(folder / KEY_FILE, key_pem(ec.generate_private_key(ec.SECP256R1())))
    key = load_key(folder / KEY_FILE, ec.EllipticCurvePrivateKey, hint=_RESTORE)
    certificate = (
        _builder(subject, subject, (key, key), now, now + timedelta(days=_AUTHORITY_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_SIGNS_CERTIFICATES, critical=True)
        .sign(key, hashes.SHA256())
    )
    return write_once(folder / _CERTIFICATE, certificate.public_bytes(Encoding.PEM), mode=0o644)


def _builder(
    subject: x509.Name, issuer: x509.Name, keys: _Keys, now: datetime, ends: datetime
) -> x509.CertificateBuilder:
    """What all certificates have; `keys` are its own and the one that will sign it."""
    own, signing = (key.public_key() for key in keys)
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(signing)
    return (
        x509.CertificateBuilder(issuer, subject, own, x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(ends)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(own), critical=False)
        .add_extension(identifier, critical=False)
    )


def _name(text: str) -> x509.Name:
    try:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
    except ValueError as error:
        raise PlanError(f"{text!r} is not a name", hint="it has 1 to 64 characters") from error


def _read(certificate_pem: bytes) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(certificate_pem)
    except ValueError as error:
        raise StoreError("this is not a certificate in PEM", hint="issue another one") from error
