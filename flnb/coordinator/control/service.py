"""What a coordinator answers to people's programs, as `flnb.transport.Controls`.

Calls come on the coordinator's loop. Whatever blocks is done in threads of this service: a slow
question of a viewer must not keep rounds from closing.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import math
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from google.protobuf.message import Message

from flnb.coordinator.acting import ACTOR
from flnb.coordinator.control.admission import Admission
from flnb.coordinator.control.afterwards import Afterwards
from flnb.coordinator.control.credentials import Credentials
from flnb.coordinator.control.events import Events
from flnb.coordinator.control.looks import Looks
from flnb.coordinator.control.orders import Orders
from flnb.coordinator.control.pages import Pages
from flnb.coordinator.control.past import Past
from flnb.coordinator.control.studied import Studied
from flnb.coordinator.control.upkeep import Upkeep
from flnb.coordinator.control.watch import Watch
from flnb.core.errors import UnreachableError
from flnb.transport import CHUNK_BYTES, Claims, TokenIssuer
from flnb.transport.tokens import Role
from flnb.transport.turns import Turns
from flnb.transport.v1 import control_pb2 as pb

if TYPE_CHECKING:
    from flnb.coordinator.coordinator import Coordinator

_AT_ONCE, _OF_ONE = 4, 3
"""Calls of each kind that are worked on at once; questions of one caller, so that others have theirs."""
_LOOKS = frozenset(
    [
        "Status",
        "Runs",
        "Run",
        "Round",
        "Known",
        "Vitals",
        "Clients",
        "Tokens",
        "RunPage",
        "RoundPage",
        "RoundAt",
        "OperationPage",
        "EventPage",
        "StudyPage",
    ]
)
"""What changes nothing and is answered from the state database in a moment."""
_QUESTIONS = frozenset(
    [
        "Sql",
        "Model",
        "History",
        "Checkpoint",
        "Diff",
        "Export",
        "Aliases",
        "Preview",
        "Replay",
        "Expiry",
        "Verify",
        "ClientPage",
        "Study",
    ]
)
"""What changes nothing and may take long."""

Part = Message | bytes
Whole = Message | bytes | memoryview
"""What is answered before it is cut into chunks."""
Answer = Callable[[Claims, Any], "Whole | Iterable[Whole]"]


class ControlService:
    """Answers for one coordinator.

    Args:
        coordinator: Who is looked at and steered.
        issuer: Reads access tokens.
    """

    def __init__(self, coordinator: Coordinator, issuer: TokenIssuer) -> None:
        looks = Looks(coordinator)
        self._upkeep = Upkeep(coordinator, self._waiting)
        self._answers: dict[str, Answer] = {
            **looks.answers,
            **Orders(coordinator, looks).answers,
            **Past(coordinator, looks).answers,
            **Afterwards(coordinator, looks).answers,
            **Pages(coordinator, looks).answers,
            **Studied(coordinator).answers,
            **Admission(coordinator).answers,
            **self._upkeep.answers,
        }
        self._watch = Watch(coordinator, looks, self._in_thread)
        self._events = Events(coordinator, looks, self._in_thread)
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="flnb-control")
        # A question may take a minute, and so may an order: a list does not wait for either.
        self._looking = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="flnb-looks")
        self._questions = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="flnb-questions")
        self._turns = Turns(_AT_ONCE, _OF_ONE)
        self._asked: set[asyncio.Task[Any]] = set()
        """What is worked on; also for whoever hung up meanwhile."""
        # Whether somebody may still listen is looked up while all others are busy, too.
        self._tokens = ThreadPoolExecutor(1, thread_name_prefix="flnb-tokens")
        look_up = functools.partial(_done, self._tokens)
        self._credentials = Credentials(issuer, coordinator.lab.store.state, look_up)

    async def claims(self, token: str) -> Claims:
        """Read an access token; see `Controls.claims`."""
        return await self._credentials.claims(token)

    async def answer(self, claims: Claims, method: str, request: Message) -> AsyncIterator[Part]:
        """Answer a call; see `Controls.answer`."""
        if isinstance(request, pb.WatchRequest):
            async for note in self._watch.notes(claims, request):
                yield note
            return
        if isinstance(request, pb.EventsRequest):
            async for event in self._events.notes(claims, request):
                yield event
            return
        threads = self._threads_for(method)
        done = self._in_turn if threads is self._questions else _done
        found: Whole | Iterable[Whole] = await done(threads, self._act, claims, method, request)
        async for part in _parts(threads, found):
            if isinstance(part, Message):
                yield part
                continue
            for start in range(0, len(part), CHUNK_BYTES):
                yield bytes(part[start : start + CHUNK_BYTES])

    def hear(self, after: str) -> AsyncGenerator[pb.EventNote, None]:
        """Events for whoever has the coordinator itself, and so may see all; on its loop.

        Args:
            after: The first cursor; empty begins with a snapshot.
        """
        claims = Claims(ACTOR.get() or "here", Role.ADMIN, "", math.inf, "", "")
        return self._events.notes(claims, pb.EventsRequest(after=after))

    async def close(self) -> None:
        """End all watches; see `Controls.close`."""
        self._watch.close()
        self._events.close()
        self._upkeep.close()
        for threads in (self._threads, self._looking, self._questions):
            threads.shutdown(wait=False, cancel_futures=True)
        self._tokens.shutdown(wait=False)

    def _act(self, claims: Claims, method: str, request: Message) -> Whole | Iterable[Whole]:
        with _for(claims.name):
            return self._answers[method](claims, request)

    def _threads_for(self, method: str) -> ThreadPoolExecutor:
        """Where a call is worked on."""
        if method in _LOOKS:
            return self._looking
        return self._questions if method in _QUESTIONS else self._threads

    async def _in_turn(
        self, threads: ThreadPoolExecutor, act: Callable[..., Any], claims: Claims, *call: Any
    ) -> Any:
        """Work on a question when it is the caller's turn: nobody alone has all the threads.

        No thread can be told to end, so whoever hangs up has its turn until what it asked is done.
        """
        async with contextlib.AsyncExitStack() as turn:
            await turn.enter_async_context(self._turns.turn(claims.name))
            asked = asyncio.create_task(_keeping(turn.pop_all(), threads, act, claims, *call))
            self._asked.add(asked)
            asked.add_done_callback(self._asked.discard)
        return await asyncio.shield(asked)

    def _waiting(self) -> Mapping[str, int]:
        """How much waits for a thread, by what the threads do."""
        pools = {
            "orders": self._threads,
            "looks": self._looking,
            "questions": self._questions,
            "tokens": self._tokens,
        }
        waiting = {name: pool._work_queue.qsize() for name, pool in pools.items()}
        return waiting | {"questions": waiting["questions"] + self._turns.n_waiting}

    async def _in_thread(self, work: Callable[..., Any], *arguments: Any) -> Any:
        return await _done(self._looking, work, *arguments)


async def _done(threads: ThreadPoolExecutor, work: Callable[..., Any], *arguments: Any) -> Any:
    """Do blocking work in a thread.

    Raises:
        UnreachableError: The coordinator stops; who hears that comes back later.
    """
    try:
        doing = asyncio.get_running_loop().run_in_executor(threads, work, *arguments)
    except RuntimeError:  # no thread takes work any more
        raise UnreachableError("the coordinator stops") from None
    return await doing


async def _keeping(turn: contextlib.AsyncExitStack, *doing: Any) -> Any:
    """Do something in a thread, then let go of a turn."""
    async with turn:
        return await _done(*doing)


async def _parts(
    threads: ThreadPoolExecutor, found: Whole | Iterable[Whole]
) -> AsyncIterator[Whole]:
    """What an answer is made of; parts that come one by one are worked out in a thread."""
    if isinstance(found, Message | bytes | memoryview):
        yield found
        return
    parts = iter(found)
    while (part := await _done(threads, next, parts, None)) is not None:
        yield part


@contextlib.contextmanager
def _for(name: str) -> Iterator[None]:
    """Let the operations log say who asked."""
    before = ACTOR.set(name)
    try:
        yield
    finally:
        ACTOR.reset(before)
