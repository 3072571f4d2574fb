"""What a client needs of a connection; `flnb.transport.Link` is one."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from typing import Protocol

from flnb.transport.identity import Identity
from flnb.transport.v1 import federation_pb2 as pb


class Access(Protocol):
    """What opens the doors for a while."""

    @property
    def token(self) -> str:
        """The access token."""
        ...


class Call(Protocol):
    """An open session."""

    async def write(self, note: pb.ClientNote) -> None:
        """Send a note; one at a time."""
        ...

    def __aiter__(self) -> AsyncIterator[pb.CoordinatorNote]:
        """The coordinator's notes; ends when the session does."""
        ...

    async def close(self) -> None:
        """End it."""
        ...


class CoordinatorLink(Protocol):
    """A connection to a coordinator.

    Everything here raises UnreachableError when nobody answers or the connection breaks,
    AccessRefusedError when the coordinator says no, and TokenExpiredError when a token is too old.
    """

    async def join(self, token: str, identity: Identity) -> tuple[str, str]:
        """Bind a key to an invite: the client's name and the lab."""
        ...

    async def sign_in(self, client: str, lab: str, identity: Identity) -> Access:
        """Prove who this is."""
        ...

    async def rotate(self, client: str, lab: str, identity: Identity, fresh: Identity) -> None:
        """Give the client's name to another key of its own; asking again changes nothing more."""
        ...

    def session(self, token: str) -> Call:
        """Open a session."""
        ...

    def fetch(
        self, token: str, digest: bytes, chunks: Sequence[int]
    ) -> AsyncGenerator[bytes, None]:
        """Chunks of a version, in the order asked for, a few at a time."""
        ...

    async def send(
        self,
        token: str,
        assignment: pb.AssignmentId,
        chunks: Sequence[int],
        data: Callable[[Sequence[int]], bytes],
    ) -> int:
        """Send chunks of an update: how many were taken."""
        ...

    async def close(self) -> None:
        """Let go of the connection."""
        ...
