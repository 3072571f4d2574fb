"""Names and addresses of hosts, as certificates have them."""

from __future__ import annotations

import contextlib
import ipaddress
import re
from collections.abc import Sequence

from cryptography import x509

from flnb.core.errors import PlanError

_HOST = re.compile(r"(?=.{1,253}$)(\*\.)?([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.(?!$)|$))+")


def general_name(host: str) -> x509.GeneralName:
    """A host as a certificate names it.

    Raises:
        PlanError: It is neither a name nor an address.
    """
    bare = host.removeprefix("[").removesuffix("]").partition("%")[0]
    with contextlib.suppress(ValueError):
        return x509.IPAddress(ipaddress.ip_address(bare))
    try:
        name = host.removesuffix(".").encode("idna").decode().lower()
    except UnicodeError:
        name = ""
    if not _HOST.fullmatch(name) or name.rpartition(".")[2].isdigit():
        hint = "give a name or an address, without scheme and port"
        raise PlanError(f"{host!r} is not a host", hint=hint)
    return x509.DNSName(name)


def covers(names: Sequence[str], host: str) -> bool:
    """Tell whether a certificate for some hosts is good for one of them.

    Args:
        names: What the certificate names; `*.` stands for one label.
        host: Under which clients reach the server.

    Raises:
        PlanError: That is no host.

    Examples:
        >>> covers(["10.0.0.5", "*.lab.example"], "hub.lab.example")
        True
        >>> covers(["*.lab.example"], "a.hub.lab.example"), covers(["::1"], "0:0::1")
        (False, True)
    """
    wanted = str(general_name(host).value)
    _, dot, domain = wanted.partition(".")
    wild = isinstance(general_name(host), x509.DNSName) and f"*{dot}{domain}" in names
    return wanted in names or wild
