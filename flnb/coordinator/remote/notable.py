"""What else a person should know of remote clients, beside what became of their assignments.

That one was away and came back, that one went back to an older state of its own after a roll back,
that an update came for a generation of the run that is no more. All of it stands in the rows of a
round that its `why()` shows. Belongs to the loop.
"""

from __future__ import annotations

from collections.abc import Callable

from flnb.coordinator.remote.work import Facts, Key
from flnb.core.errors import NotFoundError
from flnb.core.ids import ClientId
from flnb.store import LabStore, RoundKey
from flnb.transport.v1 import federation_pb2 as pb

_REMARK = 1000
"""Characters; one who sends a hundred updates for one assignment need not be quoted in full."""
_LATE_CLIENTS = 100
"""Of whom late updates are told while no round is open to tell of them."""


class Notable:
    """Remarks about the clients of the open work, and what is kept for those of the next.

    Args:
        open_run: Says of which run work is open; empty if none is.
    """

    def __init__(self, open_run: Callable[[], str]) -> None:
        self.remarks: dict[str, str] = {}
        """Client to what else a person should know of its part in the open work."""
        self._open_run = open_run
        self._generations: dict[str, int] = {}
        self._late: dict[str, dict[str, str]] = {}
        """Run to client to what came too late between two rounds."""
        self._lives: dict[ClientId, bytes] = {}
        self._left_s: dict[ClientId, float] = {}

    def begin(self, run: str, generation: int) -> None:
        """Other work is open from now on."""
        self._generations[run] = generation
        self.remarks, self._left_s = self._late.pop(run, {}), {}

    def taken_back(self, run: str, generation: int) -> None:
        """The head of a run was moved: updates of generations before are not for it any more."""
        self._generations[run] = generation

    def remark(self, client: str, text: str) -> None:
        """Note something about a client for the open work; once, however often it happens."""
        _add(self.remarks, client, text)

    # --- coming and going -----------------------------------------------------------------------

    def left(self, client: ClientId, now_s: float) -> None:
        """The connection of a client with a part in the open work ended."""
        self._left_s[client] = now_s

    def came(self, client: ClientId, life: bytes, now_s: float, *, was_here: bool) -> None:
        """A client said hello.

        Args:
            client: Its name.
            life: What its process is called; another one after it was killed.
            now_s: Seconds that counted since the open work began.
            was_here: Whether it takes part in the open work, and another session of it had not
                ended yet.
        """
        before, left_s = self._lives.get(client), self._left_s.pop(client, None)
        self._lives[client] = life
        if left_s is None and not was_here:
            return
        other = bool(life and before and life != before)
        how = "its process ended and another came back" if other else "its connection was made anew"
        self.remark(client, how if left_s is None else f"{how} after {now_s - left_s:.1f} s")

    # --- after a roll back ----------------------------------------------------------------------

    def received(self, client: str, facts: Facts) -> None:
        """An update counts: say if its client had to go back to an older state of its own."""
        if (went_back_to := facts.went_back_to) is not None:
            old = f"went back to its state of round {went_back_to}"
            self.remark(client, old if went_back_to else "no kept state: started anew")

    def stale(self, client: ClientId, key: Key) -> str:
        """Say that an update is of a generation before the present one; empty if it is not."""
        now = self._generations.get(key.run)
        if now is None or key.generation >= now:
            return ""
        return self.refused_as_stale(client, key, now)

    def refused_as_stale(self, client: ClientId, key: Key, now: int) -> str:
        """Note that an update came too late for its generation; returns why it is refused."""
        reason = stale_generation(key, now)
        now_open = key.run == self._open_run()
        told = self.remarks if now_open else self._late.setdefault(key.run, {})
        if client in told or len(told) < _LATE_CLIENTS:
            _add(told, client, f"an update was refused: {reason}")
        return reason


def stale_generation(key: Key, now: int) -> str:
    """Why an update of an older generation cannot count."""
    return (
        f"stale generation (it is of round {key.round} of generation {key.generation}, the run is "
        f"at generation {now})"
    )


def fate(store: LabStore, key: Key) -> tuple[pb.Verdict | None, int]:
    """What a client should hear of an update that it holds.

    Returns:
        None if it is wanted, or may be; else that it is settled, or refused. Then the generation
        of its run, 0 if nobody knows it.
    """
    try:
        record = store.state.run(key.run)
    except NotFoundError:
        return _settled(key), 0
    if record.status in {"finished", "stopped"}:
        return _settled(key), record.generation
    if key.generation < record.generation:
        if store.state.closing_of(RoundKey(record.id, key.generation, key.round)) is not None:
            return _settled(key), record.generation  # it had counted before it was left behind
        reason = stale_generation(key, record.generation)
        refused = pb.Verdict(assignment=key.message(), kind=pb.Verdict.REFUSED, reason=reason)
        return refused, record.generation
    head = store.state.head(record.id)
    over = head.closing is not None and key.round <= head.closing.round
    return _settled(key) if over else None, record.generation


def _settled(key: Key) -> pb.Verdict:
    return pb.Verdict(assignment=key.message(), kind=pb.Verdict.SETTLED)


def _add(told: dict[str, str], client: str, text: str) -> None:
    known = told.get(client, "")
    if text not in known and len(known) < _REMARK:
        told[client] = f"{known}; {text}".removeprefix("; ")
