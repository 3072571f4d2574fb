"""Another key for a client: the one before signs that the new one takes its place.

The new key is on the disk before the coordinator hears of it, and takes the place of the old one
there once the coordinator has said that it speaks for the client. Whatever ends in between, asking
again tells which of the two it is.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from flnb.client.coordinator_link import CoordinatorLink
from flnb.client.opening import open_link
from flnb.client.state import Home, default_home
from flnb.core.errors import AccessRefusedError, StoreError, TokenExpiredError
from flnb.core.failpoints import reach
from flnb.transport.invite import Invite


def rotate_key(
    invite: str | Path | Invite,
    *,
    home: Path | str | None = None,
    certificate: Path | str | None = None,
) -> None:
    """Let another key speak for a client that does not run now; the one before is worth nothing then.

    Args:
        invite: The line that it joined with, or the file that holds it.
        home: Where its key is kept, if not where it is by default.
        certificate: File with the client's certificate, where the coordinator asks for one.

    Raises:
        PlanError: The invite cannot be read.
        StoreError: The client runs, or has not joined yet; or a file cannot be used.
        AccessRefusedError: Its key does not speak for it any more, or it was revoked.
        TokenExpiredError: The coordinator began anew in the middle of it: ask again.
        UnreachableError: Nobody answers. The key may have changed all the same: ask again, or let
            the client run, which finds out.
    """
    invite = invite if isinstance(invite, Invite) else Invite.parse(invite)
    path = Path(home) if home else default_home(invite.lab, invite.client)
    asyncio.run(_rotate(invite, path, Path(certificate) if certificate else None))


async def _rotate(invite: Invite, path: Path, certificate: Path | None) -> None:
    held = Home(path)
    try:
        if held.joined is None:
            raise StoreError(
                f"nobody has joined from {path}: it has no key that anybody knows",
                hint="name the folder of the client with home=, or let it join first",
            )
        wire = open_link(invite, certificate)
        try:
            await rotate(held, wire)
        finally:
            await wire.close()
    finally:
        held.release()


async def rotate(home: Home, wire: CoordinatorLink) -> None:
    """Change the key of a home, or end a change that was begun.

    Args:
        home: Of a client that has joined; held by this process.
        wire: A connection to its coordinator.

    Raises:
        AccessRefusedError: Its key does not speak for it any more, or it was revoked.
        TokenExpiredError: The coordinator began anew in the middle of it; the next key is kept.
        UnreachableError: Nobody answers; nobody knows then which key it is until it is asked again.
    """
    assert home.joined is not None, "it has joined"
    client, lab = home.joined.client, home.joined.lab
    fresh = await asyncio.to_thread(home.next_identity)
    reach("client-key-made")
    try:
        await wire.rotate(client, lab, home.identity, fresh)
    except AccessRefusedError as error:
        if not isinstance(error, TokenExpiredError):
            home.drop_next()  # it does not speak for this client, and never will
        raise
    reach("client-key-bound")
    await asyncio.to_thread(home.adopt_next)
