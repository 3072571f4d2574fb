"""Asks the coordinator, each time with the token of whoever asked here.

Who may do what is decided there, by `flnb.transport.control.METHODS`; nothing here looks at a role.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import TypeVar

from google.protobuf.message import Message

from flnb import __version__
from flnb.core.errors import TooManyCallsError, UnknownTokenError, UnreachableError
from flnb.service.settings import ServiceSettings
from flnb.transport import PROTOCOL, Certified, ControlLink
from flnb.transport.certified_file import read_certified
from flnb.transport.turns import Turns
from flnb.transport.v1 import control_pb2 as pb

Anything = TypeVar("Anything", bound=Message)

_AT_ONCE = 12
"""Calls on a connection, of the sixteen that a coordinator takes: the closer to those, the more often gRPC
turns one away that must be made again."""
_OF_ONE = 4
"""Of those that may be thought about for long, calls of one caller."""
_STATUS_S, _ANSWER_S = 3.0, 75.0
"""A question in SQL is worked on for a minute at most; a coordinator that stands still shows sooner."""
_REMEMBERED = 10_000
_SLOW = frozenset(["Sql", "ClientPage", "Study", "Resume"])
"""What DuckDB works on, and what may make a task anew."""


class Gateway:
    """The way to one coordinator; made and used on one running loop.

    A coordinator takes sixteen calls at once on a connection. So what answers at once has one, what
    may be thought about for a minute another, and what goes on for as long as its reader likes a third:
    neither sixteen questions in SQL nor eight slow downloads keep a list or a sign-in waiting.

    Args:
        settings: Whom to ask, and the service's own tokens.
    """

    def __init__(self, settings: ServiceSettings) -> None:
        self.viewer, self.operator = settings.viewer, settings.operator
        """The service's own tokens, the newest ones."""
        certificate = settings.certificate.encode() or None
        own = read_certified(Path(settings.own), Certified) if settings.own else None
        self._asking, self._thinking, self._streaming = (
            ControlLink(settings.address, certificate, None, own=own) for _ in range(3)
        )
        self._turns = {
            self._asking: Turns(_AT_ONCE),
            self._thinking: Turns(_AT_ONCE, _OF_ONE),
        }
        self._downloads = asyncio.Semaphore(settings.downloads)
        self._taken: dict[bytes, None] = {}

    async def ask(
        self,
        token: str,
        method: str,
        request: Message,
        kind: type[Anything],
        *,
        within_s: float = _ANSWER_S,
    ) -> Anything:
        """Ask for one message; see `ControlLink.ask`.

        Args:
            token: Of whoever asks.
            method: A name in `METHODS`.
            request: What is asked.
            kind: What is answered.
            within_s: How long that may take.

        Raises:
            FLBaseError: What the coordinator raised.
            UnreachableError: It is gone.
        """
        async with self._turn(token, method, within_s) as link:
            return await link.ask(method, request, kind, token=token, within_s=within_s)

    async def whole(self, token: str, method: str, request: Message) -> bytes:
        """Ask for raw chunks, and put them together; see `ControlLink.whole`.

        Raises:
            FLBaseError: What the coordinator raised.
            UnreachableError: It is gone.
        """
        async with self._turn(token, method, _ANSWER_S) as link:
            return await link.whole(method, request, token=token)

    async def listen(
        self, token: str, method: str, request: Message
    ) -> AsyncGenerator[bytes, None]:
        """Ask for a stream that goes on for long; see `ControlLink.listen`.

        Yields:
            Raw messages.

        Raises:
            FLBaseError: What the coordinator raised.
            UnreachableError: It is gone.
        """
        async with contextlib.aclosing(
            self._streaming.listen(method, request, token=token)
        ) as parts:
            async for part in parts:
                yield part

    @contextlib.asynccontextmanager
    async def download(self) -> AsyncIterator[None]:
        """Take one of the places for downloads.

        Raises:
            TooManyCallsError: None is free.
        """
        if self._downloads.locked():
            raise TooManyCallsError(
                "too many models are being downloaded", hint="try again when one of them is done"
            )
        async with self._downloads:
            yield

    async def status(self, token: str | None = None) -> pb.StatusReply:
        """Ask whether the coordinator is there, and how it stands.

        Args:
            token: Of whoever asks; by default the viewer of the service itself.

        Raises:
            FLBaseError: It refuses.
            UnreachableError: It is gone.
        """
        request = pb.StatusRequest(protocol=PROTOCOL, version=__version__)
        who = token or self.viewer
        return await self.ask(who, "Status", request, pb.StatusReply, within_s=_STATUS_S)

    @contextlib.asynccontextmanager
    async def _turn(self, token: str, method: str, within_s: float) -> AsyncIterator[ControlLink]:
        """The connection for a method when it is its turn there; to wait for that counts, too."""
        link = self._thinking if method in _SLOW else self._asking
        try:
            async with asyncio.timeout(within_s), self._turns[link].turn(token):
                yield link
            self._remember(token)
        except UnknownTokenError:
            self._taken.pop(_digest(token), None)
            raise
        except TimeoutError:
            raise UnreachableError(
                f"the coordinator did not answer within {within_s:g} s"
            ) from None

    def knows(self, token: str) -> bool:
        """Whether the coordinator took a token when it was shown last."""
        return _digest(token) in self._taken

    def _remember(self, token: str) -> None:
        name = _digest(token)
        self._taken.pop(name, None)  # to the end of the order
        self._taken[name] = None
        if len(self._taken) > _REMEMBERED:
            del self._taken[next(iter(self._taken))]

    async def close(self) -> None:
        """End everything that is asked."""
        for link in (self._asking, self._thinking, self._streaming):
            await link.close()


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
