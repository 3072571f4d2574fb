"""The newest session of each client, from before its hello, and when their tokens need a look."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from flnb.coordinator.remote.session import ClientSession
from flnb.core.ids import ClientId
from flnb.transport.v1 import federation_pb2 as pb


class Sessions:
    """Who has a session; belongs to the coordinator's loop."""

    def __init__(self) -> None:
        self._newest: dict[ClientId, ClientSession] = {}
        self._due_at = math.inf
        """Before this moment no session's token needs a look; seconds since 1970."""

    def __iter__(self) -> Iterator[ClientSession]:
        return iter(tuple(self._newest.values()))

    def __len__(self) -> int:
        return len(self._newest)

    def of(self, client: ClientId) -> ClientSession | None:
        """The newest session of a client, if it has one."""
        return self._newest.get(client)

    def begin(self, session: ClientSession) -> None:
        """Take a session in; the one that its client had ends."""
        if (older := self._newest.get(session.client)) is not None:
            older.end("another session of this client has begun", for_good=False)
        self._newest[session.client] = session
        self._due_at = min(self._due_at, session.due_at)

    def over(self, session: ClientSession) -> bool:
        """Forget a session that has ended; False for one in whose place another is already."""
        if self._newest.get(session.client) is not session:
            return False
        del self._newest[session.client]
        return True

    def look_at_tokens(self, now_s: float, challenge: Callable[[str], bytes]) -> None:
        """Ask those whose token ends soon to prove again who they are; end those that are late.

        Args:
            now_s: Seconds since 1970.
            challenge: Gives a client something to sign.
        """
        if now_s < self._due_at:
            return  # four times a second all of thousands would be too much
        for session in [one for one in self._newest.values() if now_s >= one.due_at]:
            if session.must_renew(now_s):
                renew = pb.Renew(nonce=challenge(session.client))
                session.post(pb.CoordinatorNote(renew=renew))
        self._due_at = min((one.due_at for one in self._newest.values()), default=math.inf)
