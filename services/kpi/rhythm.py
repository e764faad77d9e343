"""How often a worker flushes: as often as it can afford.

A flush costs its worker, the broker and every view something however little is in it, and what
moves twice between two of them is written once. So where the flushes take more than a small part of
a worker's time they are made less often, up to a limit that still leaves a number on the screen
within a second of its event (docs/performance.md).
"""

from collections.abc import Callable
from time import monotonic

#: The intervals in seconds, from a quiet system to a busy one.
INTERVALS = (0.15, 0.2, 0.25, 0.3)
#: While records wait to be folded nothing is fresh anyway.
BEHIND_SECONDS = 0.5
#: Shares of a worker's time: above the one flushes are made less often, below the other more often.
TOO_MUCH, LITTLE = 0.06, 0.03
#: Over so many seconds the share is taken.
SPAN_SECONDS = 1.0


class Rhythm:
    """The flushes of one worker. ``now`` gives seconds."""

    def __init__(self, now: Callable[[], float] = monotonic) -> None:
        self._now = now
        self._level = 0
        self._spent = 0.0
        self._since = now()

    def spent(self, seconds: float) -> None:
        """A flush kept the worker from everything else for so long."""
        self._spent += seconds

    def interval(self, *, behind: bool) -> float:
        """Flushes begin at whole multiples of these seconds; ``behind``: records wait."""
        passed = self._now() - self._since
        if passed >= SPAN_SECONDS:
            share = self._spent / passed
            if share > TOO_MUCH:
                self._level = min(self._level + 1, len(INTERVALS) - 1)
            elif share < LITTLE:
                self._level = max(self._level - 1, 0)
            self._spent = 0.0
            self._since = self._now()
        return BEHIND_SECONDS if behind else INTERVALS[self._level]
