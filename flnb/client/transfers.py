"""Chunks of versions in, chunks of updates out: tried until they get through or nothing moves."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing

import numpy as np
from jaxtyping import UInt8

from flnb.client.backoff import Patience
from flnb.client.bases import Bases
from flnb.client.coordinator_link import CoordinatorLink
from flnb.client.outbox import Held, key_of
from flnb.core.errors import (
    FLBaseError,
    IntegrityError,
    RoundStateError,
    StoreError,
    TokenExpiredError,
    UnreachableError,
)
from flnb.core.failpoints import reach
from flnb.transport.manifest import Manifest
from flnb.transport.v1 import federation_pb2 as pb

STUCK_S = 60.0
"""How long a transfer may go without a single chunk that gets through, what its tries wait for their turns
not counted."""

_PASSING = (UnreachableError, IntegrityError, TokenExpiredError, RoundStateError, StoreError)
"""What may be over at the next try."""


class Transfers:
    """The transfers of one session; they end with it.

    Args:
        wire: The connection.
        token: Gives the newest access token.
        bases: Keeps versions.
    """

    def __init__(self, wire: CoordinatorLink, token: Callable[[], str], bases: Bases) -> None:
        self._wire, self._token, self._bases = wire, token, bases
        self._patience: dict[bytes, Patience] = {}

    async def base(self, assignment: pb.Assignment) -> UInt8[np.ndarray, " n"]:
        """Get the version that an assignment starts from.

        Raises:
            FLBaseError: It is not there any more, or nothing moves.
        """
        manifest = Manifest.from_message(assignment.base)
        patience = Patience(STUCK_S)

        async def fetch(places: Sequence[int]) -> AsyncGenerator[bytes, None]:
            patience.still(len(places))
            chunks = self._wire.fetch(self._token(), manifest.digest, places)
            try:
                async with aclosing(chunks):
                    async for data in chunks:
                        patience.begins()
                        yield data
            finally:
                patience.begins()  # also of a try that broke while it waited for a place

        inline = assignment.inline
        while True:
            try:
                return await self._bases.obtain(manifest, inline, fetch)
            except _PASSING:
                if patience.over:
                    raise
            inline = b""
            await patience.pause()

    async def send(self, held: Held, chunks: list[int]) -> bool:
        """Send chunks of an update.

        Returns:
            False if not all of them got through: the update is to be offered again, and the
            coordinator says what it lacks then.

        Raises:
            FLBaseError: Nothing moves.
        """
        patience = self._patience.setdefault(key_of(held.assignment), Patience(STUCK_S))
        patience.still(len(chunks))

        def data(places: Sequence[int]) -> bytes:
            patience.begins()  # nothing is asked for before the coordinator has a place
            return held.chunks(places)

        try:
            reach("client-sending")
            taken = await self._wire.send(self._token(), held.assignment, chunks, data)
            reach("client-sent")
        except FLBaseError:
            # Also "nobody waits for it": what is so is what the coordinator answers to an offer.
            patience.begins()  # also of a try that broke while it waited for a place
            if patience.over:
                raise
            taken = 0
        if taken == len(chunks):
            return True
        await patience.pause()
        return False

    def over(self, assignment: pb.AssignmentId) -> None:
        """There is a verdict: nothing more will be sent."""
        self._patience.pop(key_of(assignment), None)
