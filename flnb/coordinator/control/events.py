"""What happens in a lab, in one order, for everybody who listens.

What the database has (closed rounds, operations) is read from it after the cursor of each listener, so
that nothing is missed and nothing told twice, whoever is killed meanwhile. How things stand (the open
round, who is here) is told at most four times a second: who misses one of those loses nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

from flnb.coordinator.control import telling
from flnb.coordinator.control.looks import Looks, sees_clients
from flnb.coordinator.control.stir import Stir
from flnb.core.clock import SYSTEM_CLOCK
from flnb.core.errors import PlanError, TooManyCallsError, UnreachableError
from flnb.core.ids import RunId
from flnb.core.progress import INTERVAL_S
from flnb.core.view import RunView
from flnb.store import Cursor, Glimpse
from flnb.transport import Claims
from flnb.transport.v1 import control_pb2 as pb

if TYPE_CHECKING:
    from flnb.coordinator.coordinator import Coordinator

HEARTBEAT_S = 15.0
_LOOK_S, _LEAST_S = 0.25, 0.1
"""So often the database is looked at though no picture changed: others write to it, too; and no more
often than this, however quick the rounds are."""
_REST_S, _CLIENTS_S = 1.0, 0.5
"""Between two looks at runs that are not driven here, and at who is here."""
_OF_ONE = 16
"""Streams of one person, over however many connections: each costs the loop the same work."""

Notes = AsyncGenerator[pb.EventNote, None]
InThread = Callable[..., Awaitable[Any]]


class Events:
    """Serves everybody who listens to a lab.

    Args:
        coordinator: Whose lab.
        looks: Knows who may see what.
        in_thread: Does blocking work.
    """

    def __init__(self, coordinator: Coordinator, looks: Looks, in_thread: InThread) -> None:
        self._coordinator, self._looks, self._in_thread = coordinator, looks, in_thread
        self._stir, self._closed = Stir(coordinator), False
        self._listening: Counter[str] = Counter()

    def close(self) -> None:
        """End all listening: the coordinator stops."""
        self._closed = True
        self._stir.wake()

    async def notes(self, claims: Claims, request: pb.EventsRequest) -> Notes:
        """Tell what happens until the coordinator stops.

        Without a cursor, or with one that means nothing here, a snapshot comes first; else all that
        is durable after it. A listener that is slow holds nobody up, and gets fewer pictures.

        Raises:
            TooManyCallsError: The same person listens often enough already.
            UnreachableError: The coordinator stops.
        """
        hearing = _Hearing(self._coordinator, self._looks, self._in_thread, claims)
        with self._place(claims.name), self._stir.ear() as ear:
            self._stir.attend()
            async for note in hearing.first(request.after):
                yield note
            while not self._closed:
                ear.clear()
                self._stir.attend()
                async for note in hearing.news():
                    yield note
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(hearing.patience_s()):
                        await ear.wait()
        raise UnreachableError("the coordinator stops")

    @contextlib.contextmanager
    def _place(self, name: str) -> Iterator[None]:
        if self._listening[name] >= _OF_ONE:
            raise TooManyCallsError(
                f"{name} listens {_OF_ONE} times already",
                hint="end one of them; a service hands the same events to as many as like",
            )
        self._listening[name] += 1
        try:
            yield
        finally:
            self._listening[name] -= 1
            self._listening += Counter()  # names with nothing leave


class _Hearing:
    """What one listener has heard."""

    def __init__(
        self, coordinator: Coordinator, looks: Looks, in_thread: InThread, claims: Claims
    ) -> None:
        self._coordinator, self._looks, self._in_thread = coordinator, looks, in_thread
        self._claims, self._clients = claims, sees_clients(claims)
        self._cursor = Cursor(0, 0, "")
        self._names: dict[str | None, str] = {None: ""}
        self._views: dict[RunId, RunView] = {}
        self._durable: dict[RunId, RunView] = {}
        """Pictures at the last look at the database."""
        self._resting: dict[str, Glimpse] = {}
        self._since: datetime | None = None
        self._here: dict[str, str] = {}
        self._due_s = dict.fromkeys(
            ("database", "rounds", "pictures", "rest", "clients", "heartbeat"), 0.0
        )

    async def first(self, after: str) -> AsyncIterator[pb.EventNote]:
        """What a listener hears first."""
        newest: Cursor = await self._in_thread(self._coordinator.lab.store.state.newest)
        why = _why_anew(after, newest)
        if after and not why:
            self._cursor = Cursor.parse(after)
            # At once, so that whoever comes back knows that it is heard.
            yield self._note((telling.HEARTBEAT, "", {"at": SYSTEM_CLOCK.now()}))
            return
        snapshot = await self._in_thread(self._snapshot)
        yield self._note((telling.SNAPSHOT, "", snapshot | {"reset": bool(why), "why": why}))

    async def news(self) -> AsyncIterator[pb.EventNote]:
        """What has happened since the last look."""
        if self._due("database", _LOOK_S) or (
            self._rounds_closed() and self._due("rounds", _LEAST_S)
        ):
            self._due_s["rounds"] = SYSTEM_CLOCK.monotonic_s() + _LEAST_S
            self._durable = dict(self._pictures())
            while found := await self._in_thread(self._happened):
                for note in found:
                    yield note
        for events in (self._of_pictures(), self._of_clients()):
            for event in events:
                yield self._note(event)
        if self._due("rest", _REST_S):
            for event in await self._in_thread(self._of_resting):
                yield self._note(event)
        if self._due("heartbeat", HEARTBEAT_S):
            yield self._note((telling.HEARTBEAT, "", {"at": SYSTEM_CLOCK.now()}))

    def patience_s(self) -> float:
        """How long to wait for a change, if none comes."""
        now_s = SYSTEM_CLOCK.monotonic_s()
        unheard = any(self._views.get(run) is not view for run, view in self._pictures())
        until_s = [self._due_s["database"]]
        until_s += [self._due_s["pictures"]] if unheard else []
        until_s += [self._due_s["rounds"]] if self._rounds_closed() else []
        return max(0.0, min(until_s) - now_s)

    def _note(self, event: telling.Event) -> pb.EventNote:
        kind, run, data = event
        self._due_s["heartbeat"] = SYSTEM_CLOCK.monotonic_s() + HEARTBEAT_S
        text = telling.to_json(data)
        return pb.EventNote(type=kind, cursor=self._cursor.text, run=run, data=text)

    def _due(self, what: str, every_s: float) -> bool:
        now_s = SYSTEM_CLOCK.monotonic_s()
        if now_s < self._due_s[what]:
            return False
        self._due_s[what] = now_s + every_s
        return True

    # --- what lasts; both block -----------------------------------------------------------------

    def _snapshot(self) -> dict[str, Any]:
        coordinator, state = self._coordinator, self._coordinator.lab.store.state
        # The cursor before the rest: what happens meanwhile is told after it, and shown already.
        self._cursor = state.newest()
        glimpses = state.glimpses()
        self._resting = {one.id: one for one in glimpses}
        self._since = max((one.updated_at for one in glimpses), default=None)
        self._views = dict(self._pictures())
        runs = [
            telling.run_in_full(one, self._views.get(RunId(one.id)), clients=self._clients)
            for one in glimpses
        ]
        rows = list(coordinator.clients) if self._clients else []
        self._here = {row.client: row.state for row in rows if row.state in {"idle", "training"}}
        return {
            "lab": coordinator.lab.id,
            "role": str(self._claims.role),
            "coordinator": json.loads(self._looks.state(self._claims)),
            "runs": runs,
            "clients": [telling.client(row) for row in rows] if self._clients else None,
            "at": SYSTEM_CLOCK.now(),
        }

    def _happened(self) -> list[pb.EventNote]:
        """The next of what is durable."""
        notes = []
        for one in self._coordinator.lab.store.state.happened(self._cursor):
            self._cursor = one.cursor
            name = self._name(one.what.run)
            notes.append(self._note(telling.durable(one.what, name, clients=self._clients)))
        return notes

    def _name(self, run: str | None) -> str:
        if run not in self._names:
            self._names[run] = self._coordinator.lab.store.state.run(str(run)).name
        return self._names[run]

    def _of_resting(self) -> list[telling.Event]:
        """What has become of runs that are not driven here."""
        events = list[telling.Event]()
        for one in self._coordinator.lab.store.state.glimpses(self._since):
            self._since = max(one.updated_at, self._since or one.updated_at)
            if not self._coordinator.drives(RunId(one.id)):
                events += telling.rested(self._resting.get(one.id), one)
            self._resting[one.id] = one
        return events

    # --- how things stand -----------------------------------------------------------------------

    def _pictures(self) -> Iterator[tuple[RunId, RunView]]:
        for run in self._coordinator.driven:
            if (picture := self._coordinator.picture(run)) is not None:
                yield run, picture.view

    def _rounds_closed(self) -> bool:
        """Whether a picture shows a closed round, or a commit, that it did not at the last look."""
        for run, new in self._pictures():
            old = self._durable.get(run)
            if old is not new and (old is None or (old.rows, old.round) != (new.rows, new.round)):
                return True
        return False

    def _of_pictures(self) -> Iterable[telling.Event]:
        if not self._due("pictures", INTERVAL_S):
            return
        for run, view in self._pictures():
            if (old := self._views.get(run)) is not view:
                self._views[run] = view
                yield from telling.pictures(run, old, view, clients=self._clients)

    def _of_clients(self) -> Iterable[telling.Event]:
        if self._clients and self._due("clients", _CLIENTS_S):
            old, self._here = (
                self._here,
                {str(name): doing for name, doing in self._coordinator.present().items()},
            )
            yield from telling.clients_moved(old, self._here)


def _why_anew(after: str, newest: Cursor) -> str:
    """Why a listener must begin anew, empty if it need not."""
    if not after:
        return ""
    try:
        cursor = Cursor.parse(after)
    except PlanError as error:
        return error.message
    if cursor.lab != newest.lab:
        return "the cursor is of another lab"
    if not newest.covers(cursor):
        return (
            f"the cursor {after} is ahead of this lab, which is at {newest.text}: the lab may have "
            "been put back to an older copy"
        )
    return ""
