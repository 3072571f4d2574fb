"""The runs that somebody holds through a connection: their last pictures, and who waits for them."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from dataclasses import replace

from flnb.coordinator.control.plain import error_from_json, view_from_json
from flnb.coordinator.picture import Picture
from flnb.core.errors import FLBaseError, RoundStateError
from flnb.core.ids import RunId
from flnb.core.view import Status
from flnb.transport.v1 import control_pb2 as pb

BELIEVED_AFTER_S = 30.0
"""A service that was killed shows its runs as interrupted until it carries them on."""


class Held:
    """One run; changed on the connection's loop alone.

    Args:
        told: What the service said of it first.
        loop: The connection's loop.
    """

    def __init__(self, told: pb.RunReply, loop: asyncio.AbstractEventLoop) -> None:
        self.id, self.name, self.plan_yaml = RunId(told.id), told.name, told.plan
        self.picture = Picture(view_from_json(told.view))
        self.done: Future[FLBaseError | None] = Future()
        """Resolves when the run rests; there is a new one when it goes on."""
        self._loop, self._at, self._plan_at = loop, 0, 0
        self._doubt: asyncio.TimerHandle | None = None
        if self.picture.view.status.over:
            self.done.set_result(error_from_json(told.error))

    def renewed(self) -> None:
        """Another watch has begun, maybe of another process: its notes count anew."""
        self._at = self._plan_at = 0

    def take(self, told: pb.RunReply | pb.WatchNote) -> None:
        """Show what the service says, unless something newer was shown."""
        if isinstance(told, pb.RunReply) and told.at >= self._plan_at:
            # Of its own: a note of a round may overtake the reply that bears the changed plan.
            self._plan_at, self.plan_yaml = told.at, told.plan
        if told.at < self._at:
            return
        self._at = told.at
        view = view_from_json(told.view)
        interrupted = view.status is Status.INTERRUPTED
        if self._doubt is not None and not interrupted:
            self._doubt.cancel()
            self._doubt = None
        if not view.status.over and self.done.done():
            self.done = Future()
        self.picture.show(view)
        if interrupted and not self.done.done():
            if self._doubt is None:
                self._doubt = self._loop.call_later(BELIEVED_AFTER_S, self._believe)
        elif view.status.over:
            self._rest(error_from_json(told.error))

    def lose(self, error: FLBaseError) -> None:
        """Nothing more will be heard: say why to whoever waits and looks."""
        if not self.done.done():
            self.picture.show(replace(self.picture.view, error=str(error)))
            self.done.set_result(error)

    def _believe(self) -> None:
        """Nobody has carried the run on: whoever waits must not take it for one that is done."""
        self._doubt = None
        lasts = f"run {self.name} was interrupted, and nobody has carried it on for {BELIEVED_AFTER_S:g} s"
        hint = "its rounds are safe: run.resume() goes on with it, then run.wait() waits again"
        self._rest(RoundStateError(lasts, hint=hint))

    def _rest(self, error: FLBaseError | None) -> None:
        if not self.done.done():
            self.done.set_result(error)
