"""What all sessions of a server share: one look at the lab for each of the two kinds of roles.

A `Sight` asks its source on a thread of its own and keeps what it was told; pages read that, and
are told when it changed. So fifty pages cost the coordinator what one costs, and a page never
waits. When no coordinator answers, the lab's state database is read instead, and a coordinator is
looked for every few seconds.
"""

from __future__ import annotations

import atexit
import logging
import math
import threading
from collections.abc import Callable, Mapping

from flnb.core.clock import SYSTEM_CLOCK
from flnb.core.errors import FLBaseError, NotFoundError
from flnb.core.ids import RunId
from flnb.core.view import RunView
from flnb.dashboards.access import Person, sees_clients
from flnb.dashboards.frames import Frames
from flnb.dashboards.shared import Shared
from flnb.dashboards.sources import Live, Source
from flnb.dashboards.standing import STALE_S, Snapshot, Standing
from flnb.dashboards.study_watch import StudyWatch
from flnb.dashboards.targets import Target

log = logging.getLogger(__name__)

LOOK_S = 0.25
"""Pictures of runs come four times a second; more often nobody looks."""
STORE_S = 1.0
FIND_S = 2.0
"""Between two tries to find a coordinator."""
TELL_S = 0.5
"""Between two times that pages are told how an open round goes. One that closed does not wait for that,
only for another one that closed: where rounds are quick, pages are not what slows them."""
REST_S = 30.0
"""Once nobody has looked for so long, nothing is asked any more until somebody comes."""
FIRST_S = 10.0
"""So long whoever comes first waits for the first look."""

Callback = Callable[[], None]


class Sight:
    """What one kind of roles sees, kept up to date for all who look.

    Args:
        target: What the server was started for.
        role: `viewer` or `operator`.
        person: Whose token serves if the target has none of that role.
    """

    def __init__(self, target: Target, role: str, person: Person | None = None) -> None:
        self._target, self.role, self._person = target, role, person
        self.now, self.shared = Snapshot(), Shared()
        self._studies = StudyWatch()
        self._source: Source | None = None
        self._frames: dict[RunId, Frames] = {}
        self._wanted: dict[Callback, str | None] = {}
        self._lock = threading.Lock()
        self._wake, self._closing, self._looked = (threading.Event() for _ in range(3))
        self._found_s, self._told_s, self._told_closed_s = -FIND_S, -FIND_S, -math.inf
        self._untold, self._closed, self._asked_s = False, False, 0.0
        self._thread = threading.Thread(target=self._look_on, name=f"flnb-feed-{role}", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        atexit.register(self.close)  # an interpreter that ends while DuckDB answers a thread aborts
        self._thread.start()

    def close(self) -> None:
        """Look no more."""
        atexit.unregister(self.close)
        self._closing.set()
        self._looked.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(10)
        if self._source is not None:
            self._source.close()

    def lend(self, person: Person) -> None:
        """Use his token from the next try on: that of who came before may have been taken back."""
        self._person = person
        self._wake.set()

    # --- for pages ------------------------------------------------------------------------------

    def frames(self, run: RunId) -> Frames | None:
        """The closed rounds of a run that somebody listens to; None before they are there."""
        return self._frames.get(run)

    def on_change(self, callback: Callback, run: str | None = None) -> Callback:
        """Be told of changes, on the feed's thread; returns what ends that.

        Args:
            callback: Called without arguments, at most four times a second, twice if rounds are quick.
            run: Name of the run whose closed rounds are wanted, too.
        """
        with self._lock:
            self._wanted[callback] = run
        self._wake.set()

        def stop() -> None:
            with self._lock:
                self._wanted.pop(callback, None)

        return stop

    @property
    def source(self) -> Source:
        """Whom to ask now; blocks until the first look is over, for whoever comes first after a rest.

        Raises:
            FLBaseError: Nobody answers.
        """
        if self._source is None and self._thread.is_alive():
            self._looked.wait(FIRST_S)
        source = self._source
        if source is None:
            raise NotFoundError("coordinator", self._target.name)
        return source

    # --- looking --------------------------------------------------------------------------------

    def _look_on(self) -> None:
        self._asked_s = SYSTEM_CLOCK.monotonic_s()
        while not self._closing.is_set():
            if self._is_alone():
                self._rest()
                continue
            try:
                changed = self._look()
            except FLBaseError as error:
                changed = self._offline(error)
            except Exception as error:  # a page shows why; the next look may succeed
                log.exception("a look at %s failed", self._target.name)
                changed = self._offline(error)
            self._looked.set()
            self._untold |= changed
            last_s = self._told_closed_s if self._closed else self._told_s
            if self._untold and SYSTEM_CLOCK.monotonic_s() - last_s >= TELL_S:
                self._tell()
            self._wake.wait(LOOK_S if self._live else STORE_S)
            self._wake.clear()

    def _is_alone(self) -> bool:
        """Whether nobody has looked for a while."""
        with self._lock:
            alone = not self._wanted
        now_s = SYSTEM_CLOCK.monotonic_s()
        if not alone:
            self._asked_s = now_s
        return alone and now_s - self._asked_s >= REST_S

    def _rest(self) -> None:
        """Let everything go, and wait for somebody who comes; he sees nothing old then."""
        self._looked.clear()
        source, self._source = self._source, None
        self._frames, self.now = {}, Snapshot()
        if source is not None:
            source.close()
        self._wake.wait()
        self._wake.clear()
        self._asked_s = SYSTEM_CLOCK.monotonic_s()

    @property
    def _live(self) -> bool:
        return self._source is not None and self._source.live

    def _look(self) -> bool:
        source = self._present()
        if (trouble := source.trouble) is not None:
            raise trouble
        views = source.views()
        wanted = self._wanted_runs(views)
        due = wanted if self._may_tell_of_closed else wanted - set(self._frames)
        grown = [self._grow(source, run, views[run]) for run in due]
        self._closed |= any(grown)
        for run in set(self._frames) - wanted:
            del self._frames[run]
        kind = "live" if source.live else "store"
        moment = SYSTEM_CLOCK.now()
        standing = Standing(kind, moment, source.last_write)
        studies = self._studies.look(source)
        before, self.now = self.now, Snapshot(standing, views, studies)
        same = before.views == views and before.standing.kind == kind and before.studies == studies
        news = any(grown) or not same or before.standing.last_write != source.last_write
        return news or self._is_quiet()

    @property
    def _may_tell_of_closed(self) -> bool:
        """Whether it is not too soon after the last time; what is not told is not asked for either."""
        return SYSTEM_CLOCK.monotonic_s() - self._told_closed_s >= TELL_S

    def _is_quiet(self) -> bool:
        """Whether pages should look at their clocks; also that somebody was signed out shows then."""
        return SYSTEM_CLOCK.monotonic_s() - self._told_s >= STALE_S

    def _wanted_runs(self, views: Mapping[RunId, RunView]) -> set[RunId]:
        with self._lock:
            names = set(self._wanted.values())
        return {run for run, view in views.items() if view.name in names or run in names}

    def _grow(self, source: Source, run: RunId, view: RunView) -> bool:
        known = self._frames.get(run)
        grown = Frames.after(known, source, run, view, clients=sees_clients(self.role))
        self._frames[run] = grown
        return grown is not known

    def _present(self) -> Source:
        """The present source; a coordinator as soon as one answers, else the store."""
        source, now_s = self._source, SYSTEM_CLOCK.monotonic_s()
        lost = source is not None and source.trouble is not None
        if (
            (source is None or lost or not source.live)
            and now_s - self._found_s >= FIND_S
            and self._target.served()
        ):
            self._found_s = now_s
            try:
                self._become(self._target.open(self.role, self._person))
            except FLBaseError as error:
                if source is None:
                    self._become(self._fallback(error))
        elif source is None or (lost and not self._target.served()):
            self._become(self._fallback(source.trouble if source is not None else None))
        assert self._source is not None, "there is a source now, or it was raised why not"
        return self._source

    def _fallback(self, error: FLBaseError | None) -> Source:
        stored = getattr(self._target, "stored", None)
        if stored is None:
            raise error or NotFoundError("coordinator", self._target.name)
        made: Source = stored(self.role)
        return made

    def _become(self, source: Source) -> None:
        before, self._source = self._source, source
        self._frames = {}
        if before is not None:
            before.close()
        if isinstance(source, Live):
            log.info("a coordinator answers for %s", self._target.name)

    def _offline(self, error: Exception) -> bool:
        before = self.now.standing
        why = error.message if isinstance(error, FLBaseError) else str(error)
        standing = Standing("offline", before.heard_at, before.last_write, why)
        self.now = Snapshot(standing, self.now.views, self.now.studies)
        return before.kind != "offline" or before.why != why

    def _tell(self) -> None:
        self._told_s = SYSTEM_CLOCK.monotonic_s()
        if self._closed:
            self._told_closed_s = self._told_s
        self._untold = self._closed = False
        with self._lock:
            callbacks = list(self._wanted)
        for callback in callbacks:
            try:
                callback()
            except Exception:  # one page must not keep the others from being told
                log.exception("a page cannot be told of changes and is left out from now on")
                with self._lock:
                    self._wanted.pop(callback, None)


class Feed:
    """One for a server process.

    Args:
        target: What the server was started for.
    """

    def __init__(self, target: Target) -> None:
        self.target = target
        self._sights: dict[str, Sight] = {}
        self._lock = threading.Lock()

    def sight(self, person: Person) -> Sight:
        """What a person sees; started when the first of a kind comes."""
        role = "operator" if sees_clients(person.role) else "viewer"
        with self._lock:
            if role not in self._sights:
                self._sights[role] = Sight(self.target, role, person)
                self._sights[role].start()
            self._sights[role].lend(person)
            return self._sights[role]

    def close(self) -> None:
        """End all looks."""
        with self._lock:
            sights, self._sights = list(self._sights.values()), {}
        for sight in sights:
            sight.close()
