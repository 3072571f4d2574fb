"""A client's stay with its coordinator: join once, sign in, one session after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

from flnb.client.backoff import Backoff
from flnb.client.bases import Bases
from flnb.client.coordinator_link import CoordinatorLink
from flnb.client.desk import Desk, Member
from flnb.client.events import ClientEvent, Tell
from flnb.client.outbox import Outbox
from flnb.client.ownership import About, prepared
from flnb.client.rotation import rotate
from flnb.client.session import Session
from flnb.client.shelf import Shelf
from flnb.client.state import Home, Joined
from flnb.client.trainer import LocalTrainer, Train
from flnb.core import SYSTEM_CLOCK, ClientId
from flnb.core.errors import (
    AccessRefusedError,
    FLBaseError,
    IntegrityError,
    StoreError,
    TokenExpiredError,
    UnreachableError,
)
from flnb.tasks import Task
from flnb.transport.invite import Invite, token_hash

_GOOD_S = 2.0
"""A session of at least this length was a good one, as is one in which an update got through: the
next waits are short again."""
_REFUSALS = 3
"""Refusals in a row that are believed, of a client that was welcome before: a token may be void
because the coordinator began anew, and bits may turn over on an open line."""


class Stay:
    """One client while it is wanted; belongs to the loop.

    Args:
        invite: Where the coordinator is, and who this client is.
        task: What is trained here.
        home: The client's folder, held until `close`.
        open_wire: Makes a new connection.
        train: Does the training; None runs client halves by name.
        allowed: Beginnings of the names of modules whose halves may be run.
        patience_s: How long nobody need answer at first.
        tell: Hears what happens.
    """

    def __init__(
        self,
        invite: Invite,
        task: Task,
        home: Home,
        *,
        open_wire: Callable[[], CoordinatorLink],
        train: Train | None,
        allowed: Sequence[str],
        patience_s: float,
        tell: Tell,
    ) -> None:
        self._invite, self._task, self._home = invite, task, home
        self._open_wire, self._tell = open_wire, tell
        self._train, self._allowed = train, allowed
        self._patience_s = patience_s
        self._member = Member(ClientId(invite.client), invite.lab, home.identity)
        self._bases = Bases(home.base)
        self._desk: Desk | None = None
        self._session: Session | None = None
        self._backoff = Backoff()
        self._token = ""
        self._met = False
        """Whether the coordinator let this client in since the process began."""
        self._refusals = 0
        self._rotating = asyncio.Lock()
        self._away_since = SYSTEM_CLOCK.now().astimezone()
        """When it was connected last; at first, when it began."""

    async def run(self) -> None:
        """Be a client until cancelled.

        Raises:
            AccessRefusedError: The coordinator does not want this client; the reason is its own.
            UnreachableError: Nobody answered at first, for as long as the patience.
            StoreError: The folder is that of another client.
            TaskError: The model cannot be trained.
            DataError: There are no examples.
        """
        _check_home(self._home, self._invite)
        own, facts = await asyncio.to_thread(prepared, self._task, self._member.client)
        train = self._train or LocalTrainer(own, self._allowed)
        outbox, shelf = Outbox(self._home.outbox), Shelf(self._home.states)
        desk = self._desk = Desk(
            self._member, own.layout, train, outbox=outbox, shelf=shelf, tell=self._tell
        )
        desk.become(self._member)  # an update may be from before a change of keys
        began_s = SYSTEM_CLOCK.monotonic_s()
        while True:
            try:
                why = await self._visit(desk, facts)
            except FLBaseError as error:
                if self._is_final(error, SYSTEM_CLOCK.monotonic_s() - began_s):
                    raise
                why = error.message
            wait_s = self._backoff.next_s()
            since = f"not connected since {self._away_since:%H:%M:%S}"
            text = f"{why}; {since}, next try in {wait_s:.1f} s"
            self._tell(ClientEvent("reconnecting", text, seconds=wait_s))
            await asyncio.sleep(wait_s)

    async def change_key(self) -> None:
        """Let another key speak for this client from now on; its session ends, and the next begins.

        Raises:
            StoreError: It has not joined yet, or its folder cannot be written.
            FLBaseError: As `rotate`.
        """
        wire = self._open_wire()
        try:
            if self._home.joined is None:
                raise StoreError(f"{self._member.client} has not joined yet: nobody knows its key")
            await self._rotate(wire)
        finally:
            await wire.close()

    async def _rotate(self, wire: CoordinatorLink) -> None:
        async with self._rotating:
            await rotate(self._home, wire)
            self._member = replace(self._member, identity=self._home.identity)
            if self._desk is not None:
                self._desk.become(self._member)
            self._token = ""
        self._tell(ClientEvent("rotated", f"{self._member.client} has a new key"))

    async def _end_rotation(self, wire: CoordinatorLink) -> None:
        """Find out which key counts, where a change of keys was begun and its end is not known."""
        try:
            await self._rotate(wire)
        # The second also of a coordinator that began anew just now.
        except (UnreachableError, TokenExpiredError):
            raise
        except FLBaseError as error:  # if the key before counts, that does no harm
            self._tell(ClientEvent("rotated", f"the key could not be changed: {error.message}"))

    async def leave(self) -> None:
        """Tell the coordinator that this client goes, if it is connected."""
        if self._session is not None:
            await self._session.leave()

    async def close(self) -> None:
        """Let go of everything."""
        if self._desk is not None:
            await self._desk.close()
        self._bases.close()
        self._home.release()

    async def _visit(self, desk: Desk, facts: About) -> str:
        """One connection: everything up to the end of one session; why it ended."""
        wire = self._open_wire()
        try:
            if not self._has_joined:
                await self._join(wire)
            if self._home.is_rotating and not self._rotating.locked():
                await self._end_rotation(wire)
            if not self._token:
                access = await wire.sign_in(
                    self._member.client, self._member.lab, self._home.identity
                )
                self._token, self._met = access.token, True
            return await self._meet(wire, desk, facts)
        finally:
            await wire.close()

    async def _meet(self, wire: CoordinatorLink, desk: Desk, facts: About) -> str:
        """One session; why it ended."""
        began_s, member = SYSTEM_CLOCK.monotonic_s(), self._member
        session = self._session = Session(
            wire, self._token, member, facts, desk, self._bases, self._tell
        )
        try:
            return await session.serve()
        finally:
            self._session = None
            self._token = session.token if self._member is member else ""  # of the key before
            if session.welcomed:
                self._refusals = 0
                self._away_since = SYSTEM_CLOCK.now().astimezone()
                if session.useful or SYSTEM_CLOCK.monotonic_s() - began_s > _GOOD_S:
                    self._backoff.reset()
            if session.dismissed:
                self._refusals = _REFUSALS

    @property
    def _has_joined(self) -> bool:
        joined = self._home.joined
        return joined is not None and token_hash(self._invite.token) in joined.invites

    async def _join(self, wire: CoordinatorLink) -> None:
        client, lab = await wire.join(self._invite.token, self._home.identity)
        if (client, lab) != (self._invite.client, self._invite.lab):
            raise AccessRefusedError(
                f"the coordinator at {self._invite.address} takes this for {client} of lab {lab}, "
                f"the invite is for {self._invite.client} of lab {self._invite.lab}",
                hint="ask for a new invite",
            )
        before = self._home.joined.invites if self._home.joined is not None else ()
        invites = (*before, token_hash(self._invite.token))
        self._home.remember(Joined(self._member.client, lab, invites))
        self._tell(ClientEvent("joined", f"joined lab {lab} as {client}"))

    def _is_final(self, error: FLBaseError, waited_s: float) -> bool:
        """Whether a failed visit is the last one."""
        if isinstance(error, AccessRefusedError):
            self._token = ""
            if not self._has_joined:
                return True
            if isinstance(error, TokenExpiredError):
                return False
            self._refusals += 1
            return not self._met or self._refusals >= _REFUSALS
        if self._met:
            return False
        passing = isinstance(error, UnreachableError | IntegrityError | StoreError)
        return not passing or waited_s > self._patience_s


def _check_home(home: Home, invite: Invite) -> None:
    joined = home.joined
    if joined is not None and (joined.client, joined.lab) != (invite.client, invite.lab):
        raise StoreError(
            f"{home.path} is the folder of {joined.client} of lab {joined.lab}, the invite is for "
            f"{invite.client} of lab {invite.lab}",
            hint="give this client a home of its own",
        )
