"""A certificate and its key in one file, so that to replace them is one rename.

Nobody ever reads a pair that does not fit, and there is one file to hand over.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from flnb.core.errors import StoreError
from flnb.transport.certs import Certified
from flnb.transport.identity import read_key, read_private, write_over

AnyCertified = TypeVar("AnyCertified", bound=Certified)

_BLOCK = re.compile(rb"-----BEGIN ([A-Z ]+)-----.+?-----END \1-----\n?", re.DOTALL)
_AGAIN = "flnb certs issue makes another"


def write_certified(path: Path, certified: Certified) -> None:
    """Write a certificate and its key, for the owner alone; a file that is there is replaced.

    Raises:
        StoreError: It cannot be written.
    """
    write_over(path, certified.certificate_pem + certified.key_pem)


def read_certified(path: Path, kind: type[AnyCertified]) -> AnyCertified:
    """Read a certificate and its key from a file that only its owner may read.

    Args:
        path: The file.
        kind: `ServerCertificate` for a coordinator's, `Certified` for a client's.

    Raises:
        StoreError: No such file, one that others can read, or not such a pair.
    """
    blocks = {found[1]: found[0] for found in _BLOCK.finditer(read_private(path))}
    if not {b"CERTIFICATE", b"PRIVATE KEY"} <= blocks.keys():
        raise StoreError(f"{path} does not hold a certificate and its key", hint=_AGAIN)
    found = kind(blocks[b"CERTIFICATE"], blocks[b"PRIVATE KEY"])
    key = read_key(found.key_pem, path, ec.EllipticCurvePrivateKey, hint=_AGAIN)
    try:
        certificate = x509.load_pem_x509_certificate(found.certificate_pem)
    except ValueError as error:
        raise StoreError(f"{path} holds no certificate that can be read", hint=_AGAIN) from error
    if certificate.public_key() != key.public_key():
        raise StoreError(f"the certificate and the key in {path} do not fit", hint=_AGAIN)
    return found
