"""Who may sign in by an OAuth provider: a file with e-mail addresses, each with a role."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from flnb.core.errors import AccessRefusedError, PlanError, did_you_mean
from flnb.transport.tokens import LADDER


@dataclass(frozen=True, slots=True)
class People:
    """The file; it is read at each sign-in, so that a change of it counts from then on.

    One line a person, in YAML:

        ada@example.org: admin
        leo@example.org: viewer
    """

    file: Path

    def roles(self) -> Mapping[str, str]:
        """Everybody's role, by address.

        Raises:
            PlanError: The file cannot be read, a line is no address with a role, or two name one person.
        """
        try:
            found = yaml.compose(self.file.read_text("utf-8"), Loader=yaml.SafeLoader)
        except (OSError, ValueError, yaml.YAMLError) as error:
            raise PlanError(f"{self.file} cannot be read: {error}") from error
        if not isinstance(found, yaml.MappingNode) or not found.value:
            raise PlanError(f"{self.file} has no addresses", hint="ada@example.org: viewer")
        roles: dict[str, str] = {}
        for key, value in found.value:  # not as a dict, which would keep the last of two lines
            address, role = same(str(key.value)), str(value.value)
            if "@" not in address:
                raise PlanError(f"{address!r} in {self.file} is no e-mail address")
            if role not in LADDER:
                hint = did_you_mean(role, LADDER)
                raise PlanError(f"no role {role!r} of {address} in {self.file}", hint=hint)
            if address in roles:
                raise PlanError(f"{address} is twice in {self.file}", hint="leave one line")
            roles[address] = role
        return roles

    def role(self, address: str) -> str:
        """What somebody may.

        Raises:
            AccessRefusedError: Nobody of that address may sign in.
            PlanError: As of `roles`.
        """
        role = self.roles().get(same(address))
        if role is None:
            raise AccessRefusedError(
                f"{address} may not see this lab", hint="an admin names it in the list of people"
            )
        return role


def verified(claims: Mapping[str, Any]) -> str:
    """The address that a provider says somebody has.

    Args:
        claims: What it says, as OpenID Connect names it.

    Raises:
        AccessRefusedError: It names none, or does not say that it has verified it: whoever may write
            any address into his account would be whom he likes.
    """
    address = claims.get("email")
    if not isinstance(address, str) or not address:
        raise AccessRefusedError("the provider names no e-mail address", hint="ask it for `email`")
    if claims.get("email_verified") not in (True, "true"):
        raise AccessRefusedError(f"the provider does not say that {address} was verified")
    return same(address)


def same(address: str) -> str:
    """An address as it is compared: capital letters are no others, but only those of ASCII.

    Examples:
        >>> same("Ada@Example.org"), same("\u212aim@example.org") == same("kim@example.org")
        ('ada@example.org', False)
    """
    return address.strip().lower() if address.isascii() else address
