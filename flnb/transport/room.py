"""How much room there is for transfers, by what they move."""

from __future__ import annotations

from collections import deque

LOOK_S = 0.25
"""Between two looks at what has been moved."""
_LOOKS = 3
"""What is moved is told from so many looks: one alone may fall into a moment in which the disk was busy."""
_LITTLE_BYTES_PER_S = 80e6
"""If all together move less, others may help: two thirds of a line of 1 Gbit/s."""
_NOTHING_BYTES_PER_S = 1e6
"""If those of one way move less, they stand still, or nearly."""
_HELPED = 1.3
"""Others helped if with twice as many so much more is moved."""
_BELIEVED_LOOKS = 20
"""That they did not is believed so often, ten seconds, while little is moved: each may wait for a line of
its own, some slower than others, and those that stand behind them have quick ones. Then a few more begin, no
twice as many: who waits for the coordinator's line would all be in memory after a minute."""


class Room:
    """How many chunks the transfers of one way may have in messages at once.

    Args:
        few: At least so many.
    """

    def __init__(self, few: int) -> None:
        self._few = self.chunks = few
        self._looks: deque[tuple[float, int, int]] = deque(maxlen=_LOOKS)
        self._before: float | None = None
        """What all moved in a second when there was last made room, while it may have helped."""
        self._believed, self._doubts = 0, False

    def leave(self) -> None:
        """Nobody waits any more: the next crowd begins with few."""
        self.forget()
        self.chunks, self._before, self._doubts = self._few, None, False

    def forget(self) -> None:
        """What was moved until now tells nothing."""
        self._looks.clear()

    def look(self, at_s: float, moved: int, own: int, held: int) -> None:
        """Make room for as many more as there are, take some of it back, or leave it.

        Args:
            at_s: When.
            moved: Bytes until now, both ways.
            own: Those of this way.
            held: Chunks of those that have a place.
        """
        if self._looks and at_s - self._looks[-1][0] > 2 * LOOK_S:
            self.forget()  # this process stood still
        self._looks.append((at_s, moved, own))
        if len(self._looks) < _LOOKS:
            return
        began_s, began, own_began = self._looks[0]
        took_s = at_s - began_s
        self._judge((moved - began) / took_s, (own - own_began) / took_s, held)
        self.forget()
        self._looks.append((at_s, moved, own))

    def _judge(self, per_s: float, own_per_s: float, held: int) -> None:
        before, little = self._before, per_s < _LITTLE_BYTES_PER_S
        helped = little if before is None else per_s > _HELPED * before
        if helped or own_per_s < _NOTHING_BYTES_PER_S:
            more = self._few if self._doubts else held
            self.chunks, self._before = max(self._few, held + more), per_s
            self._believed, self._doubts = 0, False
        elif before is None:
            return
        elif not little:
            self.chunks, self._before = max(self._few, self.chunks // 2), None
        else:
            self._believed += 1
            fewer, self._doubts = per_s * _HELPED < before, self._believed >= _BELIEVED_LOOKS
            if fewer or self._doubts:
                self._before = None  # who filled the line may have gone: others may help again
