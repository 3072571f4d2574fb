"""All that listens at this service: one hub for each role, kept filled, and tokens that are looked at."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any

from flnb.core.clock import SYSTEM_CLOCK
from flnb.core.errors import FLBaseError
from flnb.service.events.event import Event
from flnb.service.events.feed import feed
from flnb.service.events.hub import Hub
from flnb.service.events.listeners import TOKEN, Listener
from flnb.service.gateway import Gateway
from flnb.transport.tokens import claimed
from flnb.transport.v1 import control_pb2 as pb

log = logging.getLogger(__name__)

_HEARTBEAT_S, _TOKENS_S = 15.0, 0.4


class Fanout:
    """Everybody who listens.

    Args:
        gateway: The way to the coordinator.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self.hubs = {role: Hub(gateway, role) for role in ("viewer", "operator")}
        self._tokens: dict[Listener, tuple[str, float]] = {}

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Hear the coordinator meanwhile."""
        works: list[tuple[str, Coroutine[Any, Any, None]]] = [
            (f"flnb-feed-{role}", feed(hub)) for role, hub in self.hubs.items()
        ]
        works += [
            ("flnb-heartbeat", _each(_HEARTBEAT_S, self._beat)),
            ("flnb-tokens", _each(_TOKENS_S, self._look_at_tokens)),
        ]
        tasks = [asyncio.create_task(work, name=name) for name, work in works]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    @property
    def n_listeners(self) -> int:
        """Sockets that are open and signed in."""
        return len(self._tokens)

    def hub_of(self, role: str) -> Hub:
        """What somebody of a role may hear: who may do more hears no more than an operator."""
        return self.hubs["viewer" if role == "viewer" else "operator"]

    @contextlib.contextmanager
    def admitted(self, listener: Listener, token: str) -> Iterator[None]:
        """Let a listener go as soon as its token is no longer good.

        Args:
            listener: It.
            token: That the coordinator has just taken.
        """
        self._tokens[listener] = claimed(token)
        try:
            yield
        finally:
            del self._tokens[listener]

    async def _beat(self) -> None:
        for hub in self.hubs.values():
            data = json.dumps({"at": SYSTEM_CLOCK.now().isoformat(), "coordinator": hub.here})
            hub.tell(Event.of("heartbeat", "", data, hub.ring.head))

    async def _look_at_tokens(self) -> None:
        """One question for all listeners, not one for each."""
        now_s = SYSTEM_CLOCK.now().timestamp()
        for listener, (_, expires_at) in self._tokens.items():
            if expires_at <= now_s:
                listener.end(TOKEN, "the token has expired")
        if not self._tokens:
            return
        request = pb.KnownRequest(tokens={identity for identity, _ in self._tokens.values()})
        reply = await self._gateway.ask(self._gateway.viewer, "Known", request, pb.KnownReply)
        gone = set(reply.gone)
        for listener, (identity, _) in self._tokens.items():
            if identity in gone:
                listener.end(TOKEN, "the token was revoked")


async def _each(every_s: float, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Do something again and again."""
    while True:
        await asyncio.sleep(every_s)
        try:
            await work()
        except FLBaseError as error:  # while the coordinator is gone, nothing is told either
            log.debug("not now: %s", error)
        except Exception:  # it must not end in silence: nobody waits for this task
            log.exception("%s failed, and is done again", getattr(work, "__name__", work))
