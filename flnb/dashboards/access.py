"""Who looks at a page: people, the tickets that let them in once, and how long they stay signed in."""

from __future__ import annotations

import base64
import json
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from flnb.core.clock import SYSTEM_CLOCK, Clock
from flnb.core.errors import AccessRefusedError, FLBaseError, UnreachableError
from flnb.transport.tokens import Role, allows

_TICKET_S = 600.0
_TRUST_S = 2.0
"""So long somebody who was known is believed to be still: what a revoked token opened ends then."""
_PATIENCE_S = 0.5
"""So long an answer is waited for; one that takes longer counts when it comes, and the last one until then."""
_STAY_S = 12 * 3600.0
_MOST = 10_000


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who is signed in."""

    name: str
    role: str
    token: str = field(repr=False)
    """Every order that he gives goes to the coordinator with it."""

    def may(self, role: str) -> bool:
        """Whether his role is enough; the coordinator decides again when it is told something."""
        return allows(self.role, role)


def sees_clients(role: str) -> bool:
    """Whether a role is told of single clients."""
    return allows(role, Role.OPERATOR)


def named_in(token: str) -> str:
    """The name in a token that somebody else has verified; for showing it only."""
    try:
        body = token.split(".")[1]
        return str(json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))["sub"])
    except (IndexError, ValueError, KeyError):
        return "somebody"


@dataclass(slots=True)
class _Stay:
    """That a browser is signed in."""

    token: str
    person: Person
    until_s: float
    known_s: float
    asking: threading.Event | None = None
    """Set once what is asked now is answered."""


class Doorman:
    """Lets browsers in, and remembers them; knows nothing of HTTP.

    Args:
        know: Whose token it is; raises if it is no good. The doorman asks again every two seconds, in
            a thread: whoever waits here holds up all pages, and a coordinator may hang.
        own: Whoever started the server.
        clock: Where the time comes from.
    """

    def __init__(
        self,
        know: Callable[[str], Person],
        own: Callable[[], Person],
        *,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._know, self._own, self._clock = know, own, clock
        self._lock = threading.Lock()
        self._tickets: dict[str, float] = {}
        self._stays: dict[str, _Stay] = {}
        self._overdue = set[str]()
        """Stays of which an answer takes too long; while there are any, none is waited for."""

    def ticket(self) -> str:
        """A word that signs a browser in as whoever started the server, once, within ten minutes."""
        word = secrets.token_urlsafe(32)
        with self._lock:
            self._tickets[word] = self._now() + _TICKET_S
        return word

    def admit_by_ticket(self, word: str) -> str:
        """Let a browser in; returns what its cookie says.

        Raises:
            AccessRefusedError: The ticket was used, is too old, or none of ours.
        """
        with self._lock:
            until_s = self._tickets.pop(word, 0.0)
        if self._now() >= until_s:
            raise AccessRefusedError(
                "this link was used already, or is older than ten minutes",
                hint="sign in with a token; flnb ui prints a new link",
            )
        return self._admit(self._own())

    def admit(self, token: str) -> str:
        """Let a browser in by a token or a pass; returns what its cookie says.

        Raises:
            FLBaseError: It is no good, or nobody can tell now.
        """
        return self._admit(self._know(token))

    def admit_own(self) -> str:
        """Let a browser in for which somebody vouches whom we trust.

        Raises:
            FLBaseError: Nobody can tell now who started the server.
        """
        return self._admit(self._own())

    def _admit(self, person: Person) -> str:
        stay, now_s = secrets.token_urlsafe(32), self._now()
        with self._lock:
            over = [key for key, one in self._stays.items() if one.until_s <= now_s]
            for key in [*over, *list(self._stays)[: max(0, len(self._stays) - _MOST)]]:
                self._stays.pop(key, None)
            self._stays[stay] = _Stay(person.token, person, now_s + _STAY_S, now_s)
        return stay

    def person(self, stay: str) -> Person | None:
        """Who is signed in by this cookie; None if nobody is, or his token was taken back."""
        with self._lock:
            found = self._stays.get(stay)
        now_s = self._now()
        if found is None or now_s >= found.until_s:
            return None
        if now_s - found.known_s >= _TRUST_S:
            self._ask_again(stay, found)
        with self._lock:
            return found.person if stay in self._stays else None

    def _ask_again(self, stay: str, found: _Stay) -> None:
        """Begin to ask, and wait a moment for the answer."""
        with self._lock:
            if found.asking is not None:
                return
            asking = found.asking = threading.Event()
            in_time = not self._overdue
        threading.Thread(
            target=self._hear, args=(stay, found, asking), name="flnb-doorman", daemon=True
        ).start()
        if not (in_time and asking.wait(_PATIENCE_S)):
            with self._lock:
                if found.asking is asking:
                    self._overdue.add(stay)

    def _hear(self, stay: str, found: _Stay, asking: threading.Event) -> None:
        """What is answered; nobody is in any more whose token is no good."""
        now_s, good = self._now(), True
        try:
            found.person = self._know(found.token)
            found.known_s = now_s
        except UnreachableError:
            pass  # nobody can tell now, and nothing new is told meanwhile
        except FLBaseError:
            good = False
        finally:
            with self._lock:
                found.asking = None
                self._overdue.discard(stay)
                if not good:
                    self._stays.pop(stay, None)
            asking.set()

    def leave(self, stay: str) -> None:
        """Forget a browser."""
        with self._lock:
            self._stays.pop(stay, None)

    def _now(self) -> float:
        return self._clock.monotonic_s()
