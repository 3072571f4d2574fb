"""A bad line between clients and a coordinator: a TCP proxy whose faults follow a schedule.

Bytes are never lost in the middle of a connection that goes on, for TCP does not lose any: a
connection is slow, stands still, is torn, or carries a bit that turned over.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

from tests.relay import PIECE_BYTES, Ends, Relay, end, until_one_ends

BULK_BYTES = 8 * 1024
"""A piece of at least this size carries chunks of a model, not notes."""

Kind = Literal["cut", "delay", "throttle", "half-open", "swallow", "corrupt"]
KINDS: tuple[Kind, ...] = get_args(Kind)
Way = Literal["up", "down"]


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong with the line for a while.

    `cut` tears every connection and each new one. `delay` holds every piece back. `throttle` lets
    so many bytes a second through. `half-open` takes connections and forwards nothing that way.
    `swallow` does the same with what is sent lost, so the connections are torn at the end.
    `corrupt` turns one bit over in each of the next pieces.
    """

    kind: Kind
    at_s: float
    for_s: float
    ways: tuple[Way, ...]
    amount: float = 0.0
    """Seconds of a delay, bytes a second, or pieces to corrupt."""
    torn: bool = False
    """Whether the connections that it met are torn when it ends."""

    @property
    def ends_s(self):
        return self.at_s + self.for_s


@dataclass(frozen=True)
class Schedule:
    """What is wrong with the line, and when; everything follows from the seed."""

    seed: int
    faults: tuple[Fault, ...]

    @property
    def permanent(self):
        return any(fault.for_s == float("inf") for fault in self.faults)

    @property
    def ends_s(self):
        return max(fault.ends_s for fault in self.faults)


def schedule(seed: int, within_s: float, *, permanent: bool = False) -> Schedule:
    """Make a schedule of one to four faults that end within so many seconds."""
    chance = random.Random(seed)
    faults = [_fault(chance, within_s) for _ in range(chance.randint(1, 4))]
    if permanent:
        kind = chance.choice(("cut", "half-open"))
        at_s = chance.uniform(0.0, within_s / 4)
        faults.append(Fault(kind, at_s, float("inf"), ("up", "down")))
    return Schedule(seed, tuple(sorted(faults, key=lambda fault: fault.at_s)))


def _fault(chance: random.Random, within_s: float) -> Fault:
    kind = chance.choice(KINDS)
    at_s = chance.uniform(0.0, 0.7 * within_s)
    for_s = chance.uniform(0.05, 1.0) * (within_s - at_s)
    ways = chance.choice((("up",), ("down",), ("up", "down")))
    amounts = {
        "delay": chance.uniform(0.01, 0.3),
        "throttle": 10 ** chance.uniform(4.0, 6.5),
        "corrupt": chance.randint(1, 5),
    }
    torn = kind == "swallow" or (kind == "half-open" and chance.random() < 0.5)
    return Fault(kind, at_s, for_s, ways, amounts.get(kind, 0.0), torn)


@dataclass
class _Weather:
    """What is wrong one way, now."""

    delay_s: float = 0.0
    bytes_per_s: float = float("inf")
    blocked: int = 0
    swallowed: int = 0
    to_corrupt: int = 0
    clear: asyncio.Event = field(default_factory=asyncio.Event)


class Proxy(Relay):
    """Forwards connections to a port of this machine, in a thread of its own.

    Args:
        port: Where the coordinator listens.
        only_bulk: Corrupt nothing but pieces of chunks: without TLS, notes have no hash.
    """

    def __init__(self, port: int, *, only_bulk: bool = False) -> None:
        self._only_bulk = only_bulk
        self._weather = {"up": _Weather(), "down": _Weather()}
        self._playing: set[asyncio.Task] = set()
        self._chance = random.Random(0)
        super().__init__(port, "proxy")

    def play(self, faults: Sequence[Fault], chance: random.Random) -> None:
        """Let faults happen, each at its time from now; returns at once."""
        self._loop.call_soon_threadsafe(self._begin, faults, chance)

    def heal(self) -> None:
        """End every fault, whatever the schedule says."""
        self._do(self._heal())

    # --- on the loop

    async def _close(self) -> None:
        await super()._close()
        await self._heal()

    async def _heal(self) -> None:
        await end(self._playing)

    def _begin(self, faults: Sequence[Fault], chance: random.Random) -> None:
        self._chance = chance
        for fault in faults:
            task = self._loop.create_task(self._suffer(fault))
            self._playing.add(task)
            task.add_done_callback(self._playing.discard)

    async def _suffer(self, fault: Fault) -> None:
        await asyncio.sleep(fault.at_s)
        met = set(self._writers)
        undo = [self._start(fault, self._weather[way]) for way in fault.ways]
        try:
            await asyncio.sleep(min(fault.for_s, 3600.0))
        finally:
            for each in undo:
                each()
            if fault.torn:
                self._tear(met | self._writers if fault.kind == "swallow" else met)

    def _start(self, fault: Fault, weather: _Weather) -> Callable[[], None]:
        def change(name: str, to: float, back: float) -> Callable[[], None]:
            setattr(weather, name, to)
            return lambda: setattr(weather, name, back)

        def more(name: str, holder: object) -> Callable[[], None]:
            setattr(holder, name, getattr(holder, name) + 1)

            def less() -> None:
                setattr(holder, name, getattr(holder, name) - 1)
                weather.clear.set()
                weather.clear = asyncio.Event()

            return less

        match fault.kind:
            case "cut":
                self._tear(self._writers)
                return more("torn", self)
            case "delay":
                return change("delay_s", fault.amount, 0.0)
            case "throttle":
                return change("bytes_per_s", fault.amount, float("inf"))
            case "half-open":
                return more("blocked", weather)
            case "swallow":
                return more("swallowed", weather)
            case "corrupt":
                return change("to_corrupt", int(fault.amount), 0)

    async def _link(self, here: Ends, there: Ends) -> None:
        await until_one_ends(
            self._pump(here[0], there[1], self._weather["up"]),
            self._pump(there[0], here[1], self._weather["down"]),
        )

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, weather: _Weather
    ) -> None:
        while data := await reader.read(PIECE_BYTES):
            while weather.blocked:
                await weather.clear.wait()
            if weather.swallowed:
                continue
            if weather.delay_s:
                await asyncio.sleep(weather.delay_s)
            if weather.to_corrupt and (len(data) >= BULK_BYTES or not self._only_bulk):
                weather.to_corrupt -= 1
                data = self._corrupted(data)
            await self._forward(data, writer, weather)

    def _corrupted(self, data: bytes) -> bytes:
        spoiled = bytearray(data)
        spoiled[self._chance.randrange(len(data))] ^= 1 << self._chance.randrange(8)
        return bytes(spoiled)

    async def _forward(self, data: bytes, writer: asyncio.StreamWriter, weather: _Weather) -> None:
        while data:
            slice_ = len(data)
            if weather.bytes_per_s < float("inf"):
                slice_ = max(1, int(weather.bytes_per_s / 20))
                await asyncio.sleep(min(slice_, len(data)) / weather.bytes_per_s)
            writer.write(data[:slice_])
            await writer.drain()
            data = data[slice_:]
